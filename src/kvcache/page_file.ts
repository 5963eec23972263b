import { crc32 } from '../core/crc32.ts';
import { assert, CapacityError, FormatError } from '../core/errors.ts';
import type { ScratchFile, ScratchFiles } from '../core/host.ts';
import type { FileStats } from './cache.ts';
import type { PagePool } from './page_pool.ts';
import type { Page } from './page_tables.ts';

type Floats = Float32Array | Float64Array;

/**
 * Where pages are that have left memory: slots of one size in one file, which is made when the first page needs it. The
 * file is the process's own, and still not believed: each page's checksum stays in memory.
 *
 * A page whose rows never change keeps its slot when it comes back, so that it need not be written twice.
 */
export interface PageFile<A extends Floats> {
  /**
   * Writes a page and gives its place back to the pool. Throws CapacityError when the file is full, or the disk; the page then
   * is where it was.
   */
  putAway(page: Page<A>): void;
  /** Puts a page into a place. Throws FormatError when it is damaged; the page then is where it was. */
  bringBack(page: Page<A>, place: Page<A>['place'] & object): void;
  /** A page that nobody wants any more: its slot is free. */
  forget(page: Page<A>): void;
  readonly hasRoom: boolean;
  readonly stats: FileStats;
  /** Closes and removes the file. */
  dispose(): void;
}

interface Slot {
  readonly index: number;
  crc: number;
}

export function createPageFile<A extends Floats>(pool: PagePool<A>, files: ScratchFiles, nMost: number): PageFile<A> {
  const slots = new Map<Page<A>, Slot>();
  const free: number[] = [];
  const buffer = new Uint8Array(pool.pageBytes);
  let file: ScratchFile | undefined;
  let nSlots = 0;
  let nWritten = 0;
  let nRead = 0;

  const slotFor = (): number => {
    const index = free.pop() ?? nSlots;
    if (index < nMost) return index;
    throw new CapacityError(
      `kv cache: the page file is full, ${nMost} pages of ${pool.pageSize} positions; end other sequences`,
    );
  };
  const forget = (page: Page<A>): void => {
    const slot = slots.get(page);
    if (slot === undefined) return;
    free.push(slot.index);
    slots.delete(page);
  };

  return {
    putAway(page) {
      const { place } = page;
      assert(place !== undefined, 'a page that is put away is in memory');
      if (!slots.has(page)) {
        const index = slotFor();
        pool.pack(place, buffer);
        try {
          file ??= files.create();
          file.write(index * buffer.length, buffer);
        } catch (e) {
          if (index < nSlots) free.push(index);
          throw e;
        }
        nSlots = Math.max(nSlots, index + 1);
        slots.set(page, { index, crc: crc32(buffer) });
        nWritten++;
      }
      pool.give(place);
      page.place = undefined;
    },
    bringBack(page, place) {
      const slot = slots.get(page);
      assert(
        slot !== undefined && file !== undefined && page.place === undefined,
        'a page that comes back is in the file',
      );
      const at = slot.index * buffer.length;
      file.read(at, buffer);
      if (crc32(buffer) !== slot.crc) {
        throw new FormatError(
          `kv cache: a page in ${file.name} does not have its checksum; the file is damaged, end this sequence`,
          at,
        );
      }
      pool.unpack(place, buffer);
      page.place = place;
      nRead++;
      if (!page.isFixed) forget(page);
    },
    forget,
    get hasRoom() {
      return free.length > 0 || nSlots < nMost;
    },
    get stats() {
      let nCold = 0;
      for (const page of slots.keys()) if (page.place === undefined) nCold++;
      return { nCold, nWritten, nRead, nBytes: nSlots * buffer.length };
    },
    dispose() {
      file?.close();
      file = undefined;
    },
  };
}

import { CapacityError, FormatError } from '../../src/core/errors.ts';
import type { ScratchFiles } from '../../src/core/host.ts';

export interface MemoryScratch extends ScratchFiles {
  /** Bytes of all files that are open; writes beyond this are refused, as on a full disk. */
  most: number;
  readonly nOpen: number;
  /** What the files hold, to be looked at and damaged. */
  readonly contents: Uint8Array[];
}

/** Scratch files in memory. */
export function memoryScratch(most = Infinity): MemoryScratch {
  const scratch: MemoryScratch & { nOpen: number } = {
    most,
    nOpen: 0,
    contents: [],
    create() {
      const number = scratch.contents.push(new Uint8Array(0)) - 1;
      scratch.nOpen++;
      let isOpen = true;
      return {
        name: `scratch ${number}`,
        write(offset, bytes) {
          const end = offset + bytes.length;
          if (end > scratch.most) throw new CapacityError(`scratch ${number}: no room, as planned`);
          if (end > scratch.contents[number]!.length) {
            const longer = new Uint8Array(end);
            longer.set(scratch.contents[number]!);
            scratch.contents[number] = longer;
          }
          scratch.contents[number]!.set(bytes, offset);
        },
        read(offset, into) {
          const data = scratch.contents[number]!;
          if (offset + into.length > data.length) throw new FormatError(`scratch ${number}: ends`, offset);
          into.set(data.subarray(offset, offset + into.length));
        },
        close() {
          if (isOpen) scratch.nOpen--;
          isOpen = false;
        },
      };
    },
  };
  return scratch;
}

import { kvText } from '../../src/cli/inspect_kv.ts';
import { rowLines, rowPicture } from '../../src/cli/kv_rows.ts';
import type { KvSequence } from '../../src/kvcache/cache.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { bytesPerPosition, type KvLayout, kIndex, LANE_POSITIONS, vIndex } from '../../src/kvcache/layout.ts';
import { kvLossRegions } from './kv_losses.ts';
import { grouped, table } from './number_text.ts';
import type { ModelPath } from './numerics.ts';
import { fence } from './source_quote.ts';

/** Small enough to draw. */
const TINY: KvLayout = { nLayers: 1, nKvHeads: 1, headDim: 2, elementBytes: 4 };
const TINY_POSITIONS = 18;
const GROWTH = [1, 256, 257, 600, 1025];
const GROWTH_MAX_SEQ = 1200;
const PICTURE_PROMPT = 40;
const ROWS_PROMPT = 80;

/** The regions of docs/kvcache.md. */
export async function kvcacheRegions(modelPath?: ModelPath): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['layout', drawing()],
    ['growth', growth()],
    ['picture', picture()],
    ['picture of rows', pictureOfRows()],
    ...(await kvLossRegions(modelPath)),
  ]);
}

/** Which (position, head dim) each element holds, by asking the index functions. */
function drawing(): string {
  const place = (index: (headDim: number, position: number, d: number) => number): string[] => {
    const cells: string[] = [];
    for (let p = 0; p < TINY_POSITIONS; p++) {
      for (let d = 0; d < TINY.headDim; d++) cells[index(TINY.headDim, p, d)] = `p${p}.${d}`;
    }
    return Array.from(cells, (cell) => cell ?? '-');
  };
  const inLines = (name: string, cells: readonly string[]): string[] => {
    const lines: string[] = [];
    for (let i = 0; i < cells.length; i += LANE_POSITIONS) {
      const row = cells.slice(i, i + LANE_POSITIONS).map((cell) => cell.padEnd(5));
      lines.push(`${(i === 0 ? name : '').padEnd(3)}${String(i).padStart(3)}  ${row.join(' ')}`.trimEnd());
    }
    return lines;
  };
  return fence('text', [...inLines('K', place(kIndex)), '', ...inLines('V', place(vIndex))]);
}

/** What `inspect --kv prefix` shows, by its own function, of a cache that was used in the same way. */
function picture(): string {
  const cache = createKvCache({ kind: 'prefix' }, TINY, GROWTH_MAX_SEQ, heapStorage(Float32Array));
  const prompt = Array.from({ length: PICTURE_PROMPT }, (_, id) => id);
  const append = (sequence: KvSequence, ids: readonly number[]): void => {
    cache.reserve(sequence, ids.length - cache.length(sequence));
    cache.publish!(sequence, ids);
  };
  const first = cache.create();
  append(first, prompt);
  const fork = cache.fork(first);
  append(first, [...prompt, 1]);
  append(fork, [...prompt, 2]);
  const again = cache.create();
  cache.adoptPrefix!(again, prompt);
  append(again, prompt);
  return fence('text', kvText(cache.stats(), prompt.length).trimEnd().split('\n'));
}

/** The same of a window over pages of codes, of one sequence. */
function pictureOfRows(): string {
  const form = { kind: 'paged', window: 20, type: 'q8_0' } as const;
  const cache = createKvCache(form, { ...TINY, headDim: 32 }, GROWTH_MAX_SEQ, heapStorage(Float32Array));
  const sequence = cache.create();
  for (let i = 0; i < ROWS_PROMPT; i += LANE_POSITIONS) cache.reserve(sequence, LANE_POSITIONS);
  const { rows } = cache.stats();
  return fence('text', [...rowLines(rows!), '', ...rowPicture(rows!)]);
}

function growth(): string {
  const cache = createContiguousCache(TINY, GROWTH_MAX_SEQ, heapStorage(Float32Array));
  const sequence = cache.create();
  const rows = GROWTH.map((length) => {
    cache.reserve(sequence, length - cache.length(sequence));
    return [grouped(length), grouped(cache.bytesInUse / bytesPerPosition(TINY))];
  });
  return table(['length', 'capacity'], rows);
}

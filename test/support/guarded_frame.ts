import type { KernelBuild } from '../../src/core/host.ts';
import { bytesOf, hasBuffer, planBuffers } from '../../src/exec/plan.ts';
import { placesOf } from '../../src/exec/views.ts';
import type { Arena } from '../../src/exec/wasm/arena.ts';
import { partSizes, type RunFrame, tileBytesOf } from '../../src/exec/wasm/frame.ts';
import { RUN_WORDS } from '../../src/exec/wasm/layout.ts';
import { halvesIn } from '../../src/graph/halves.ts';
import type { Graph, ValueId } from '../../src/graph/ir.ts';

/** Scratch that kernels write besides values. */
export const REGIONS = ['quantized', 'panel', 'scores', 'runs', 'words', 'experts', 'tile'] as const;
export type Region = (typeof REGIONS)[number];

/** Bytes on either side of a region that nobody may write, and what they hold. */
const GUARD_BYTES = 2048;
const GUARD = 0xa5;
const INTACT = new Uint8Array(GUARD_BYTES).fill(GUARD);
const I32_BYTES = 4;

/** A frame whose regions lie apart, each as large as the frame's own and between guards. */
export interface GuardedFrame {
  readonly frame: RunFrame;
  /** What a node wrote outside its own value and outside all regions since the last call; undefined when nothing. */
  trespass(id: ValueId): string | undefined;
  free(): void;
}

/** shrink: bytes of a region, made of those that the frame has for it: a mutant. */
export function guardFrame(
  of: RunFrame,
  graph: Graph,
  arena: Arena,
  build: KernelBuild,
  nThreads: number,
  shrink: (region: Region, nBytes: number) => number = (_, nBytes) => nBytes,
): GuardedFrame {
  const nTokens = of.batch.ids.length;
  const nOut = of.batch.outRows.length;
  const longest = Math.max(...of.segments.map(({ stride }) => stride));
  const parts = partSizes(graph, build, nThreads)(nTokens, nOut, longest);
  const sizes: Record<Region, number> = {
    quantized: parts.quantizedBytes,
    panel: parts.panelBytes,
    scores: parts.scoreBytes,
    runs: parts.runBytes,
    words: parts.wordBytes,
    experts: parts.expertBytes,
    tile: of.cache.codes === null ? 0 : tileBytesOf(graph.kv),
  };
  const regions = REGIONS.map((name) => {
    const nBytes = shrink(name, sizes[name]);
    const base = arena.alloc(nBytes + 2 * GUARD_BYTES);
    arena.bytes(base, nBytes + 2 * GUARD_BYTES).fill(GUARD);
    return { name, base, at: base + GUARD_BYTES, end: base + GUARD_BYTES + nBytes };
  });
  const at = (name: Region): number => regions.find((region) => region.name === name)!.at;
  const copied = (from: number, nBytes: number, to: Region): void =>
    arena.bytes(at(to), nBytes).set(arena.bytes(from, nBytes));

  const frame: RunFrame = {
    ...of,
    quantized: at('quantized'),
    panel: at('panel'),
    scores: at('scores'),
    runs: at('runs'),
    tile: at('tile'),
    setRuns(runs) {
      of.setRuns(runs);
      copied(of.runs, runs.length * RUN_WORDS * I32_BYTES, 'runs');
    },
    putWords(words) {
      copied(of.putWords(words)[0]!, words.length * I32_BYTES, 'words');
      return words.map((_, i) => at('words') + i * I32_BYTES);
    },
    experts: (nFloats) => ({ rows: at('experts'), products: at('experts') + nFloats * I32_BYTES }),
  };

  // Values lie one over the other, as planned: each node may write its own, which may be where another one was.
  const attendCells = of.segments.reduce((n, { count, stride }) => n + count * stride, 0);
  const cells = { T: nTokens, R: nOut, attendCells };
  const places = placesOf(graph);
  const halves = halvesIn(graph);
  const own = graph.nodes.flatMap(({ op }, id) => (hasBuffer(op) && places[id]!.root === id ? [id] : []));
  const first = Math.min(...own.map((id) => of.addresses[id]!));
  const valueBytes = planBuffers(graph, cells).totalBytes + parts.feedBytes;
  let before = arena.bytes(first, valueBytes).slice();

  return {
    frame,
    trespass(id) {
      const isTouched = (at: number): boolean => Buffer.compare(arena.bytes(at, GUARD_BYTES), INTACT) !== 0;
      const found = regions.find(({ base, end }) => isTouched(base) || isTouched(end));
      const { op, name } = graph.nodes[id]!;
      if (found !== undefined) return `${op} ${name}: beyond ${found.name}`;
      const now = arena.bytes(first, valueBytes).slice();
      // A residual_norm writes its halves; what lies in none of a node's own values must be as it was.
      const written = halves.has(id) ? Object.values(halves.get(id)!) : hasBuffer(op) ? [id] : [];
      const ranges = written
        .map((value) => ({ from: of.addresses[value]! - first, nBytes: bytesOf(graph.nodes[value]!.shape, cells) }))
        .sort((a, b) => a.from - b.from);
      let isOwn = true;
      let from = 0;
      for (const range of [...ranges, { from: valueBytes, nBytes: 0 }]) {
        isOwn &&= Buffer.compare(before.subarray(from, range.from), now.subarray(from, range.from)) === 0;
        from = range.from + range.nBytes;
      }
      before = now;
      return isOwn ? undefined : `${op} ${name}: beyond its value`;
    },
    free() {
      for (const { base } of regions) arena.free(base);
    },
  };
}

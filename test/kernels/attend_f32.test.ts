import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { attendScratchBytes, RUN_WORDS } from '../../src/exec/wasm/layout.ts';
import { kIndex, vIndex } from '../../src/kvcache/layout.ts';
import { attend } from '../../src/ops/attend.ts';
import {
  type AttendCase,
  asCache,
  attendCases,
  attendSizes,
  cachedRows,
  dense,
  runsOf,
  visibleOf,
} from '../support/attend_cases.ts';
import { hardFloats } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds, UNWRITTEN } from '../support/wasm_memory.ts';

/** Some cases have more tokens than one tile. */
const cases: fc.Arbitrary<AttendCase> = fc.oneof(
  { weight: 4, arbitrary: attendCases },
  {
    weight: 1,
    arbitrary: fc.tuple(attendCases, fc.integer({ min: 15, max: 36 }), fc.nat(30)).map(([c, n, old]) => ({
      ...c,
      headDim: Math.min(c.headDim, 9),
      lengths: Array.from({ length: n }, (_, t) => old + t + 1),
    })),
  },
);

describeBuilds('attend_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendF32;

  /** Rows of the cache that nobody sees are NaN; heads and tokens are cut into calls anywhere, also within a group. */
  const sameBits = (kernel: Kernel) =>
    fc.property(cases, fc.nat(14), (c, headsFirst) => {
      memory.reset();
      const { nTokens, nHeads, nPositions, sStride, capacity } = attendSizes(c);
      if (nPositions === 0) return; // a run has at least its own positions
      const { group, headDim } = c;
      const width = nHeads * headDim;
      const stride = width + c.gap;
      const scale = 0.25;
      const q = hardFloats(c.source, nTokens * stride, 1);
      const [k, v] = [cachedRows(c, 2), cachedRows(c, 3)];
      const visible = visibleOf(c);
      const atQ = memory.put(q, c.skew);
      const atK = memory.put(asCache(k, capacity, kIndex), c.skew ^ 8);
      const atV = memory.put(asCache(v, capacity, vIndex), c.skew ^ 4);
      const atLengths = memory.put(visible.lengths);
      const atStarts = memory.put(visible.starts);
      const headStride = 4 * capacity * headDim;
      const runs = runsOf(c);
      const table = runs.flatMap(({ from, count }) => {
        const keys = atK + 4 * kIndex(headDim, from, 0);
        const values = atV + 4 * vIndex(headDim, from, 0);
        return [from, count, keys, values, headStride];
      });
      if (table.length !== runs.length * RUN_WORDS) throw new Error('a run has RUN_WORDS words');
      const atRuns = memory.put(Int32Array.from(table));
      const scratch = memory.room(attendScratchBytes(nTokens, nHeads, group, sStride));
      const y = memory.room(4 * nTokens * stride, c.skew);
      const call = (token: number, n: number, head: number, heads: number): void => {
        const row = 4 * token;
        // biome-ignore format: the kernel's arguments in its own order
        kernel(
          y + row * stride, stride, atQ + row * stride, stride, atRuns, runs.length, atLengths + row, atStarts + row,
          visible.sinks, n, head, heads, group, headDim, sStride, scale, c.cap ?? 0, scratch,
        );
      };
      const headCut = Math.min(headsFirst, nHeads);
      const tokenCut = Math.min(c.tokensFirst, nTokens);
      for (const [token, n] of [
        [0, tokenCut],
        [tokenCut, nTokens - tokenCut],
      ] as const) {
        call(token, n, 0, headCut);
        call(token, n, headCut, nHeads - headCut);
      }

      const rows = tensor([nTokens, nHeads, headDim], dense(q, nTokens, width, stride));
      const attended = attend(rows, k, v, visible, scale, c.cap).data;
      const expected = new Float32Array(nTokens * stride).fill(UNWRITTEN);
      for (let t = 0; t < nTokens; t++) expected.set(attended.subarray(t * width, (t + 1) * width), t * stride);
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  /** The kernel with one argument changed. */
  const changed =
    (index: number, change: (value: number, args: readonly number[]) => number): Kernel =>
    (...args) => {
      const wrong = [...args] as Parameters<Kernel>;
      wrong[index] = change(args[index]!, args);
      kernels.attendF32(...wrong);
    };

  testKernel<Kernel>({
    name: 'attendF32',
    kernel: kernels.attendF32,
    sameBits,
    mutants: {
      'the last run is forgotten': changed(5, (nRuns) => Math.max(0, nRuns - 1)),
      'no row has a start': changed(7, (starts, args) => (args[8]! > 0 ? starts : args[6]!)),
      'there are no sinks': changed(8, () => 0),
      'heads are counted from the first one': changed(10, () => 0),
      'one head less': changed(11, (nHeads) => Math.max(0, nHeads - 1)),
      'every head has a kv head of its own': changed(12, () => 1),
      'rows of queries are dense': changed(3, (_stride, args) => args[11]! * args[13]!),
      'another scale': changed(15, (scale) => 2 * scale),
      'nothing is capped': changed(16, () => 0),
    },
  });
});

import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { vIndex } from '../../src/kvcache/layout.ts';
import { attendMix } from '../../src/ops/attend_mix.ts';
import {
  asCache,
  attendCases,
  attendSizes,
  cachedRows,
  callsOf,
  dense,
  runsOf,
  sees,
  visibleOf,
} from '../support/attend_cases.ts';
import { hardFloats } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds, UNWRITTEN } from '../support/wasm_memory.ts';

describeBuilds('attend_mix_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendMixF32;

  /** Values and probabilities that a row does not see are NaN: 0 x NaN would show. */
  const sameBits = (kernel: Kernel) =>
    fc.property(attendCases, (c) => {
      memory.reset();
      const { nTokens, nHeads, nPositions, sStride, capacity } = attendSizes(c);
      const width = nHeads * c.headDim;
      const yStride = width + c.gap;
      const v = cachedRows(c, 2);
      const visible = visibleOf(c);
      const p = hardFloats(c.source, nHeads * nTokens * sStride, 1);
      for (let row = 0; row < nHeads * nTokens; row++) {
        for (let s = 0; s < sStride; s++) if (!sees(visible, row % nTokens, s)) p[row * sStride + s] = NaN;
      }
      const atP = memory.put(p, c.skew);
      const atV = memory.put(asCache(v, capacity, vIndex), c.skew ^ 8);
      const atLengths = memory.put(visible.lengths);
      const atStarts = memory.put(visible.starts);
      const y = memory.room(4 * nTokens * yStride, c.skew ^ 4);
      const runs = runsOf(c);
      if (runs.length === 0) runs.push({ from: 0, count: 0 });
      const { group, headDim } = c;
      const headStride = 4 * capacity * headDim;
      for (const call of callsOf(c, runs)) {
        const head = call.kvHead * group;
        const { from, count } = call.run;
        // biome-ignore format: the kernel's arguments in its own order
        kernel(y + 4 * (call.token * yStride + head * headDim), yStride,
          atP + 4 * (head * nTokens + call.token) * sStride, sStride, nTokens * sStride,
          atV + call.kvHead * headStride + 4 * vIndex(headDim, from, 0), headStride, atLengths + 4 * call.token,
          atStarts + 4 * call.token, visible.sinks,
          call.nTokens, call.nKvHeads, group, headDim, from, count, from === 0 ? 0 : 1);
      }

      const probs = dense(p, nHeads * nTokens, nPositions, sStride);
      const mixed = attendMix(tensor([nHeads, nTokens, nPositions], probs), v, visible).data;
      const expected = new Float32Array(nTokens * yStride).fill(UNWRITTEN);
      for (let t = 0; t < nTokens; t++) expected.set(mixed.subarray(t * width, (t + 1) * width), t * yStride);
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  testKernel<Kernel>({
    name: 'attendMixF32',
    kernel: kernels.attendMixF32,
    sameBits,
    mutants: {
      'heads lie as near as the tokens of one call': (
        y,
        ys,
        p,
        ss,
        _hs,
        v,
        headStride,
        l,
        st,
        si,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        more,
      ) =>
        kernels.attendMixF32(
          y,
          ys,
          p,
          ss,
          nTokens * ss,
          v,
          headStride,
          l,
          st,
          si,
          nTokens,
          nKvHeads,
          group,
          d,
          from,
          n,
          more,
        ),
      'every run starts from zero': (
        y,
        ys,
        p,
        ss,
        hs,
        v,
        headStride,
        l,
        st,
        si,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
      ) => kernels.attendMixF32(y, ys, p, ss, hs, v, headStride, l, st, si, nTokens, nKvHeads, group, d, from, n, 0),
      'there are no sinks': (y, ys, p, ss, hs, v, headStride, l, st, _si, nTokens, nKvHeads, group, d, from, n, more) =>
        kernels.attendMixF32(y, ys, p, ss, hs, v, headStride, l, st, 0, nTokens, nKvHeads, group, d, from, n, more),
      'every row starts where the last one does': (
        y,
        ys,
        p,
        ss,
        hs,
        v,
        headStride,
        l,
        st,
        si,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        more,
      ) => {
        const m = new Int32Array(memory.view().buffer);
        const kept = m.slice(st / 4, st / 4 + nTokens);
        m.fill(kept.at(-1) ?? 0, st / 4, st / 4 + nTokens);
        kernels.attendMixF32(y, ys, p, ss, hs, v, headStride, l, st, si, nTokens, nKvHeads, group, d, from, n, more);
        m.set(kept, st / 4);
      },
      'no run starts from zero': (y, ys, p, ss, hs, v, headStride, l, st, si, nTokens, nKvHeads, group, d, from, n) =>
        kernels.attendMixF32(y, ys, p, ss, hs, v, headStride, l, st, si, nTokens, nKvHeads, group, d, from, n, 1),
      'every row sees what the first one sees': (
        y,
        ys,
        p,
        ss,
        hs,
        v,
        headStride,
        l,
        st,
        si,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        more,
      ) => {
        const m = new Int32Array(memory.view().buffer);
        const kept = m.slice(l / 4, l / 4 + nTokens);
        m.fill(kept[0] ?? 0, l / 4, l / 4 + nTokens);
        kernels.attendMixF32(y, ys, p, ss, hs, v, headStride, l, st, si, nTokens, nKvHeads, group, d, from, n, more);
        m.set(kept, l / 4);
      },
      'chunks of positions are summed apart': (
        y,
        ys,
        p,
        ss,
        hs,
        v,
        headStride,
        l,
        st,
        si,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        more,
      ) => {
        // Each half from zero, then added: another order of the same sum.
        const half = (n >> 5) << 4;
        const run = (at: number, count: number, continues: number) =>
          kernels.attendMixF32(
            y,
            ys,
            p,
            ss,
            hs,
            v + 4 * d * at,
            headStride,
            l,
            st,
            si,
            nTokens,
            nKvHeads,
            group,
            d,
            from + at,
            count,
            continues,
          );
        run(0, half, more);
        const m = memory.view();
        const first = m.slice(y / 4, y / 4 + nTokens * ys);
        run(half, n - half, 0);
        for (let t = 0; t < nTokens; t++) {
          for (let i = 0; i < nKvHeads * group * d; i++)
            m[y / 4 + t * ys + i] = m[y / 4 + t * ys + i]! + first[t * ys + i]!;
        }
      },
    },
  });
});

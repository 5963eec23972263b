import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { positionBias } from '../../src/ops/position_bias.ts';
import { sees, visibleOf } from '../support/attend_cases.ts';
import { floatSource, hardFloats, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('position_bias_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.positionBiasF32;

  /** Rows that stand before, among and behind what they see; distances below, at and beyond the largest; what is not seen stays. */
  const sameBits = (kernel: Kernel) =>
    fc.property(
      floatSource,
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.nat(20), { maxLength: 4 }),
      fc.record({ sinks: fc.constantFrom(0, 1, 3, 20), starts: fc.array(fc.nat(15), { maxLength: 4 }) }),
      fc.array(fc.nat(24), { minLength: 4, maxLength: 4 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(5),
      skews,
      fc.boolean(),
      (source, nHeads, rowLengths, window, rows, maxDistance, slack, skew, inPlace) => {
        memory.reset();
        const nTokens = rowLengths.length;
        const positions = Int32Array.from(rows.slice(0, nTokens));
        const visible = visibleOf({ lengths: rowLengths, ...window });
        const stride = Math.max(0, ...rowLengths) + slack;
        const all = hardFloats(source, nHeads * (nTokens * stride + 2 * maxDistance + 1));
        const x = all.slice(0, nHeads * nTokens * stride);
        const b = all.slice(x.length);
        const atX = memory.put(x, skew);
        const [atB, atPositions] = [memory.put(b, skew), memory.put(positions)];
        const [atLengths, atStarts] = [memory.put(visible.lengths), memory.put(visible.starts)];
        const y = inPlace ? atX : memory.room(4 * x.length, skew);
        const before = memory.f32(y, x.length);
        // biome-ignore format: the kernel's arguments in its own order
        kernel(
          y, atX, atB, atPositions, atLengths, atStarts, visible.sinks, nHeads, nTokens * stride, nTokens, stride, maxDistance,
        );
        const xs = tensor([nHeads, nTokens, stride], x);
        const expected = positionBias(xs, positions, tensor([b.length], b), visible, maxDistance).data;
        for (let i = 0; i < x.length; i++) {
          if (!sees(visible, Math.floor(i / stride) % nTokens, i % stride)) expected[i] = before[i]!;
        }
        assertSameBits('y', memory.f32(y, x.length), expected);
        memory.check(inPlace ? [atX] : []);
      },
    );

  const changed =
    (change: (args: Parameters<Kernel>) => void): Kernel =>
    (...args) => {
      change(args);
      kernels.positionBiasF32(...args);
    };

  testKernel<Kernel>({
    name: 'positionBiasF32',
    kernel: kernels.positionBiasF32,
    sameBits,
    mutants: {
      'a table without its last distance': changed((args) => {
        args[11] -= 1;
      }),
      'distances are off by one': changed((args) => {
        args[2] += 4;
      }),
      'there are no sinks': changed((args) => {
        args[6] = 0;
      }),
      'all rows stand where the first one does': (
        y,
        x,
        b,
        positions,
        lengths,
        starts,
        sinks,
        nHeads,
        head,
        n,
        stride,
        d,
      ) => {
        for (let t = 0; t < n; t++) {
          const row = 4 * t * stride;
          // biome-ignore format: the kernel's arguments in its own order
          kernels.positionBiasF32(
            y + row, x + row, b, positions, lengths + 4 * t, starts + 4 * t, sinks, nHeads, head, 1, stride, d,
          );
        }
      },
      'all heads have the numbers of the first': (
        y,
        x,
        b,
        positions,
        lengths,
        starts,
        sinks,
        nHeads,
        head,
        n,
        stride,
        d,
      ) => {
        for (let h = 0; h < nHeads; h++) {
          const skip = 4 * h * head;
          // biome-ignore format: the kernel's arguments in its own order
          kernels.positionBiasF32(y + skip, x + skip, b, positions, lengths, starts, sinks, 1, head, n, stride, d);
        }
      },
    },
  });
});

import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { takeRows } from '../../src/ops/take_rows.ts';
import { floatSource, hardFloats, laneLengths, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const N_ROWS = 6;

describeBuilds('take_rows_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.takeRowsF32;
  const rowLists = fc.array(fc.nat(N_ROWS - 1), { maxLength: 8 });

  const sameBits = (kernel: Kernel) =>
    fc.property(floatSource, laneLengths, rowLists, skews, (source, dim, rows, skew) => {
      memory.reset();
      const x = hardFloats(source, N_ROWS * dim);
      const atX = memory.put(x, skew);
      const atRows = memory.put(Int32Array.from(rows));
      const y = memory.room(4 * rows.length * dim, skew ^ 4);
      kernel(y, atX, atRows, rows.length, dim);
      const expected = takeRows(tensor([N_ROWS, dim], x), Int32Array.from(rows)).data;
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });

  testKernel<Kernel>({
    name: 'takeRowsF32',
    kernel: kernels.takeRowsF32,
    sameBits,
    mutants: {
      'the first rows, whatever was asked for': (y, x, _rows, nRows, dim) => {
        const m = memory.view();
        m.copyWithin(y / 4, x / 4, x / 4 + nRows * dim);
      },
      'the last row is forgotten': (y, x, rows, nRows, dim) =>
        kernels.takeRowsF32(y, x, rows, Math.max(0, nRows - 1), dim),
    },
  });
});

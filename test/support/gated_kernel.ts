import fc from 'fast-check';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import type { Gated, Kernels } from '../../src/exec/wasm/kernels.ts';
import { floatSource, hardFloats, laneLengths, skews } from './hard_floats.ts';
import { assertSameBits, testKernel } from './kernel_property.ts';
import { describeBuilds, UNWRITTEN } from './wasm_memory.ts';

export interface GatedKernel {
  readonly title: string;
  readonly name: 'swigluF32' | 'swigluFastF32' | 'gegluF32' | 'gegluTanhF32';
  readonly twin: (gate: Tensor, up: Tensor) => Tensor;
  /** Besides those that any kernel of this form may be. */
  readonly mutants: (kernels: Kernels) => Readonly<Record<string, Gated>>;
}

/** Where an input's rows lie: in an array of their own, or all in one, gate and up next to each other, as a merged linear writes them. */
const forms = fc.constantFrom('apart', 'halves', 'over gate', 'over up');

/** What is asked of a kernel act(gate) * up, as one suite. */
export function testGatedKernel({ title, name, twin, mutants }: GatedKernel): void {
  describeBuilds(title, ({ kernels, memory }) => {
    const sameBits = (kernel: Gated) =>
      fc.property(
        floatSource,
        fc.nat(3),
        laneLengths,
        fc.nat(5),
        skews,
        forms,
        fc.boolean(),
        (source, nTokens, width, gap, skew, form, large) => {
          memory.reset();
          const stride = (form === 'halves' ? 2 : 1) * width + gap;
          const numbers = (salt: number) =>
            hardFloats(source, nTokens * stride, salt).map((v) => (large ? v * 120 : v));
          const [first, second] = [numbers(1), form === 'halves' ? undefined : numbers(2)];
          const gate = memory.put(first, skew);
          const up = second === undefined ? gate + 4 * width : memory.put(second, skew ^ 4);
          const over = form === 'over gate' ? gate : form === 'over up' ? up : undefined;
          const yStride = over === undefined ? width + (gap >> 1) : stride;
          const y = over ?? memory.room(4 * nTokens * yStride, skew ^ 8);
          kernel(y, yStride, gate, stride, up, stride, nTokens, width);

          const rows = (of: Float32Array, from: number): Tensor => {
            const dense = new Float32Array(nTokens * width);
            for (let t = 0; t < nTokens; t++) {
              const at = t * stride + from;
              dense.set(of.subarray(at, at + width), t * width);
            }
            return tensor([nTokens, width], dense);
          };
          const product = twin(rows(first, 0), second === undefined ? rows(first, width) : rows(second, 0)).data;
          const before = over === gate ? first : over === up && second !== undefined ? second : undefined;
          const expected = before?.slice() ?? new Float32Array(nTokens * yStride).fill(UNWRITTEN);
          for (let t = 0; t < nTokens; t++) expected.set(product.subarray(t * width, (t + 1) * width), t * yStride);
          assertSameBits('y', memory.f32(y, expected.length), expected);
          memory.check(over === undefined ? [] : [over]);
        },
      );

    const kernel = kernels[name];
    testKernel<Gated>({
      name,
      kernel,
      sameBits,
      mutants: {
        'without its tail': (y, ys, gate, gs, up, us, n, width) => kernel(y, ys, gate, gs, up, us, n, width & ~3),
        'one row less': (y, ys, gate, gs, up, us, n, width) => kernel(y, ys, gate, gs, up, us, n - 1, width),
        'rows of the gate are dense': (y, ys, gate, _gs, up, us, n, width) =>
          kernel(y, ys, gate, width, up, us, n, width),
        'rows of up are dense': (y, ys, gate, gs, up, _us, n, width) => kernel(y, ys, gate, gs, up, width, n, width),
        'rows of the result are dense': (y, _ys, gate, gs, up, us, n, width) =>
          kernel(y, width, gate, gs, up, us, n, width),
        'gate and up changed over': (y, ys, gate, gs, up, us, n, width) => kernel(y, ys, up, us, gate, gs, n, width),
        ...mutants(kernels),
      },
    });
  });
}

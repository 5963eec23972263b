import fc from 'fast-check';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import type { Kernels } from '../../src/exec/wasm/kernels.ts';
import { quantizedRowsBytes } from '../../src/exec/wasm/layout.ts';
import { floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits, testKernel } from './kernel_property.ts';
import { describeBuilds } from './wasm_memory.ts';

/** One call: addresses of the norm, the codes, the inputs' rows and the vectors; a sum is written over the first rows. */
export interface CodedCall {
  readonly y: number;
  readonly q: number;
  readonly rows: readonly number[];
  readonly vectors: readonly number[];
  readonly nTokens: number;
  readonly dim: number;
  readonly eps: number;
  readonly blockSize: number;
}

type Call = (call: CodedCall) => void;

export interface CodedNorm {
  readonly title: string;
  readonly name: string;
  /** How many inputs of rows and of vectors there are. */
  readonly nRows: number;
  readonly nVectors: number;
  readonly kernel: (kernels: Kernels) => Call;
  /** The norm, and what then lies in the first rows, where that is written over. */
  readonly twin: (rows: readonly Tensor[], vectors: readonly Tensor[], eps: number) => { norm: Tensor; first?: Tensor };
  /** Besides those of every such kernel. */
  readonly mutants?: (kernels: Kernels) => Readonly<Record<string, Call>>;
}

/** What is asked of a kernel that makes norms and rounds them: the twin's rows, and the codes that the kernels of rounding alone give. */
export function testCodedNorm({ title, name, nRows, nVectors, kernel, twin, mutants }: CodedNorm): void {
  describeBuilds(title, ({ build, kernels, memory }) => {
    const round = (q: number, x: number, nTokens: number, dim: number, blockSize: number): void => {
      const quantize = blockSize === 256 ? kernels.quantizeRowsQ8Super : kernels.quantizeRowsQ8;
      quantize(q, x, dim, nTokens, dim);
    };
    const cases = fc.record({
      source: floatSource,
      nTokens: fc.nat(10),
      nBlocks: fc.integer({ min: 1, max: 3 }),
      blockSize: fc.constantFrom(32, 32, 256),
      eps: fc.constantFrom(0, 1e-6, 1),
      skew: skews,
      isInPlace: fc.boolean(),
    });
    const sameBits = (run: Call) =>
      fc.property(cases, ({ source, nTokens, nBlocks, blockSize, eps, skew, isInPlace }) => {
        memory.reset();
        const dim = nBlocks * blockSize;
        const rows = Array.from({ length: nRows }, (_, i) => hardFloats(source, nTokens * dim, i));
        const vectors = Array.from({ length: nVectors }, (_, i) => hardFloats(source, dim, 9 + i));
        const atRows = rows.map((x) => memory.put(x, skew));
        const atVectors = vectors.map((v) => memory.put(v, skew ^ 4));
        const y = isInPlace ? atRows.at(-1)! : memory.room(4 * nTokens * dim, skew);
        const nBytes = quantizedRowsBytes(build, nTokens, dim, blockSize);
        const q = memory.room(nBytes, skew ^ 8);
        run({ y, q, rows: atRows, vectors: atVectors, nTokens, dim, eps, blockSize });
        const { norm, first } = twin(
          rows.map((x) => tensor([nTokens, dim], x)),
          vectors.map((v) => tensor([dim], v)),
          eps,
        );
        assertSameBits('y', memory.f32(y, norm.data.length), norm.data);
        if (first !== undefined) assertSameBits('sum', memory.f32(atRows[0]!, norm.data.length), first.data);
        const expected = memory.room(nBytes, skew ^ 8);
        round(expected, memory.put(norm.data as Float32Array), nTokens, dim, blockSize);
        assertSameBits('codes', memory.bytes(q, nBytes), memory.bytes(expected, nBytes));
        memory.check([...(isInPlace ? [y] : []), ...(first === undefined ? [] : [atRows[0]!])]);
      });
    const run = kernel(kernels);
    testKernel<Call>({
      name,
      kernel: run,
      sameBits,
      numRuns: 60,
      mutants: {
        'one row less': (call) => run({ ...call, nTokens: Math.max(0, call.nTokens - 1) }),
        'no eps': (call) => run({ ...call, eps: 0 }),
        'blocks of another size': (call) => run({ ...call, blockSize: call.blockSize === 32 ? 256 : 32 }),
        'codes of the input': (call) => {
          const { q, rows, nTokens, dim, blockSize } = call;
          const copy = memory.bytes(rows.at(-1)!, 4 * nTokens * dim);
          run(call);
          const y = memory.bytes(call.y, 4 * nTokens * dim);
          const m = new Uint8Array(memory.view().buffer);
          m.set(copy, call.y);
          round(q, call.y, nTokens, dim, blockSize);
          m.set(y, call.y);
        },
        'each group by itself': (call) => {
          const { y, q, rows, nTokens, dim } = call;
          const step = 4 * dim;
          const stepQ = quantizedRowsBytes(build, 1, dim, call.blockSize);
          for (let t = 0; t < nTokens; t++)
            run({ ...call, y: y + t * step, q: q + t * stepQ, rows: rows.map((x) => x + t * step), nTokens: 1 });
        },
        ...mutants?.(kernels),
      },
    });
  });
}

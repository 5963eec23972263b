import { DTYPES, rowBytes } from '../../src/core/dtype.ts';
import { type Tensor, tensor, type Weight } from '../../src/core/tensor.ts';
import type { OpenedModel } from '../../src/engine/load_model.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { activationBounds, wide } from '../../src/exec/op_bounds.ts';
import { recordedInputs } from '../../src/exec/recorded_inputs.ts';
import { linear, linear64 } from '../../src/ops/linear.ts';
import { CODED_DTYPES, type CodedDType } from '../../src/quant/codes.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { table } from './number_text.ts';
import { plainExecutor, type Run, runAll } from './run_model.ts';

/** Rows of each matrix that are packed anew in every format: more would take long and say the same. */
const ROWS_OF_MATRIX = 64;

/** A product of a real run: what entered it, and some rows of its matrix as f32. */
interface Product {
  readonly x: Tensor;
  /** [ROWS_OF_MATRIX, in] */
  readonly w: Float32Array;
}

/**
 * What rounding activations to 8 bits costs in each coded format, with blocks of 32 and of 256: every `linear` of a run with f32
 * activations is computed again with its matrix in that format. All figures are shares of the root mean square of the outputs.
 */
export async function activationErrorTable(opened: OpenedModel, ids: readonly number[]): Promise<string> {
  const run = runAll(await plainExecutor(opened, 'naive', 'f32'), ids);
  const products = await productsOf(opened, run);
  const rows = CODED_DTYPES.map((dtype) => {
    const { blockSize } = DTYPES[dtype];
    const { in32, in256, own, weights } = errorsOf(dtype, products);
    return [`\`${dtype}\``, blockSize, percent(in32), percent(in256), percent(own), percent(weights)];
  });
  const rounded = 'activations rounded in blocks of';
  return table(['format', 'its block', `${rounded} 32`, `${rounded} 256`, 'linear q8', 'weights rounded'], rows);
}

async function productsOf({ description }: OpenedModel, run: Run): Promise<Product[]> {
  const inputs = recordedInputs({ ...run, weights: await loadWeights(run.graph, description.tensors) });
  return run.graph.nodes.flatMap((node) => {
    if (node.op !== 'linear') return [];
    const { dtype, shape, bytes } = inputs.weight(node.inputs[1]!);
    const w = new Float32Array(ROWS_OF_MATRIX * shape[1]!);
    FORMATS[dtype].unpack(bytes, 0, w, 0, w.length);
    return [{ x: inputs.tensor(node.inputs[0]!), w }];
  });
}

/** Root mean square of four differences over all products, as shares of that of the true outputs. */
function errorsOf(dtype: CodedDType, products: readonly Product[]) {
  const squares = { truth: 0, in32: 0, in256: 0, own: 0, weights: 0 };
  for (const { x, w } of products) {
    const packed = packedWeight(dtype, w, x.shape[1]!);
    const asF32 = { ...packed, dtype: 'f32', bytes: new Uint8Array(w.buffer) } as const;
    const truth = linear64(wide(x), packed).data;
    const add = (what: keyof typeof squares, y: ArrayLike<number>): void => {
      truth.forEach((v, i) => {
        squares[what] += (y[i]! - v) ** 2;
      });
    };
    add('truth', new Float64Array(truth.length));
    add('in32', linear64(roundedIn(x, 32), packed).data);
    add('in256', linear64(roundedIn(x, 256), packed).data);
    add('own', linear(x, packed, 'q8').data);
    add('weights', linear64(wide(x), asF32).data);
  }
  const share = (sum: number): number => Math.sqrt(sum / squares.truth);
  return {
    in32: share(squares.in32),
    in256: share(squares.in256),
    own: share(squares.own),
    weights: share(squares.weights),
  };
}

function packedWeight(dtype: CodedDType, w: Float32Array, nIn: number): Weight {
  const bytes = new Uint8Array(ROWS_OF_MATRIX * rowBytes(dtype, nIn));
  FORMATS[dtype].pack(w, 0, w.length, bytes, 0);
  return { name: dtype, dtype, shape: [ROWS_OF_MATRIX, nIn], bytes };
}

/** x as `quantizeActivations` rounds it. */
function roundedIn(x: Tensor, blockSize: number): Tensor<Float64Array> {
  return tensor(x.shape, activationBounds(x, blockSize).rounded);
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

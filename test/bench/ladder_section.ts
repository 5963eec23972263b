import { rowBytes } from '../../src/core/dtype.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { loadLadder } from './ladder.ts';
import { type LadderStep, loadLadderModules, type StepKernel } from './ladder_steps.ts';
import { type Contender, inTurns, rates, ratios } from './measure.ts';
import { randomFloats } from './random_weights.ts';

const N_IN = 2048;
/** One token x 4096 rows, and 128 tokens x 1024 rows: a slow step takes long enough with those. */
const VECTOR = { nTokens: 1, nOut: 4096 };
const MATRIX = { nTokens: 128, nOut: 1024 };
/** Every run of a matrix x vector product reads another copy of the matrix, so that none comes from a cache. */
const COPIES_BYTES = 96 * 2 ** 20;

type Shape = typeof VECTOR;
const operations = ({ nTokens, nOut }: Shape): number => 2 * nTokens * nOut * N_IN;

/** The steps of kernels/ladder, each beside the one before. Its table is in docs/kernels.md. */
export const LADDER: Section = { name: 'ladder', run: measureLadder };

/** Names of the figures, by which docs/kernels.md finds them. */
export const FIGURES = {
  stream: 'stream read',
  peak: 'f32 peak in registers',
  vector: (step: string) => `${step}: vector`,
  vectorBytes: (step: string) => `${step}: vector, weights read`,
  vectorShare: (step: string) => `${step}: vector, share of the stream read`,
  vectorGain: (step: string) => `${step}: vector, to the step before`,
  matrix: (step: string) => `${step}: matrix`,
  matrixShare: (step: string) => `${step}: matrix, share of the f32 peak`,
  matrixGain: (step: string) => `${step}: matrix, to the step before`,
} as const;

async function measureLadder({ quick }: Pace): Promise<Table> {
  const { steps, arena } = await loadLadderModules();
  const limits = await loadLadder();
  const runnable = steps.flatMap((step) => (step.kernel === undefined ? [] : [{ step, kernel: step.kernel }]));

  const put = (bytes: Uint8Array): number => {
    const address = arena.alloc(bytes.length);
    arena.bytes(address, bytes.length).set(bytes);
    return address;
  };
  const y = arena.alloc(4 * Math.max(VECTOR.nTokens * VECTOR.nOut, MATRIX.nTokens * MATRIX.nOut));
  const x = randomFloats(MATRIX.nTokens * N_IN, 2);

  /** Copies of the packed matrix; steps of one layout share them. */
  const copies = new Map<LadderStep['packWeights'], { readonly addresses: readonly number[]; readonly gb: number }>();
  const copiesOf = (step: LadderStep) => {
    let found = copies.get(step.packWeights);
    if (found === undefined) {
      const packed = step.packWeights(randomRows(step.dtype, VECTOR.nOut), VECTOR.nOut, N_IN);
      const addresses = Array.from({ length: Math.ceil(COPIES_BYTES / packed.length) }, () => put(packed));
      found = { addresses, gb: packed.length / 1e9 };
      copies.set(step.packWeights, found);
    }
    return found;
  };

  const contenders: Contender[] = [limits.peak, limits.stream];
  for (const { step, kernel } of runnable) {
    contenders.push(
      contender(FIGURES.vector(step.name), kernel, VECTOR, copiesOf(step).addresses),
      contender(FIGURES.matrix(step.name), kernel, MATRIX, copiesOf(step).addresses.slice(0, 1)),
    );
    function contender(name: string, run: StepKernel, { nTokens, nOut }: Shape, w: readonly number[]): Contender {
      const atX = put(step.packTokens(x.subarray(0, nTokens * N_IN), nTokens, N_IN));
      let turn = 0;
      return { name, run: () => run(y, atX, w[turn++ % w.length]!, nTokens, N_IN, nOut) };
    }
  }
  const times = await inTurns(contenders, { turns: quick ? 7 : 25, sampleMs: 10, warmUpMs: 200 });

  const stream = rates(times['stream']!, limits.stream.gb);
  const peak = rates(times['peak']!, limits.peak.gflop);
  const figures: Figure[] = [figure(FIGURES.stream, 'GB/s', stream), figure(FIGURES.peak, 'GFLOP/s', peak)];
  let before: { readonly vector: number[]; readonly matrix: number[] } | undefined;
  for (const { step } of runnable) {
    const vectorTimes = times[FIGURES.vector(step.name)]!;
    const vector = rates(vectorTimes, operations(VECTOR) / 1e9);
    const matrix = rates(times[FIGURES.matrix(step.name)]!, operations(MATRIX) / 1e9);
    const read = rates(vectorTimes, copiesOf(step).gb);
    figures.push(
      figure(FIGURES.vector(step.name), 'GOP/s', vector),
      figure(FIGURES.vectorBytes(step.name), 'GB/s', read),
      figure(FIGURES.vectorShare(step.name), 'x', ratios(read, stream)),
      figure(FIGURES.matrix(step.name), 'GOP/s', matrix),
      figure(FIGURES.matrixShare(step.name), 'x', ratios(matrix, peak)),
    );
    if (before !== undefined) {
      figures.push(
        figure(FIGURES.vectorGain(step.name), 'x', ratios(vector, before.vector)),
        figure(FIGURES.matrixGain(step.name), 'x', ratios(matrix, before.matrix)),
      );
    }
    before = { vector, matrix };
  }
  const missing = steps.filter(({ kernel }) => kernel === undefined).map(({ name }) => name);
  return {
    title: 'The kernel ladder',
    note:
      `One thread. Vector: 1 token x [${VECTOR.nOut}, ${N_IN}], another copy of the weights in each run; ` +
      `matrix: ${MATRIX.nTokens} tokens x [${MATRIX.nOut}, ${N_IN}]. A product and its addition are two operations. ` +
      'Weights are packed and activations quantized beforehand.',
    figures,
    skipped: missing.length === 0 ? undefined : `${missing.join(', ')}: this host has no relaxed SIMD`,
  };
}

/** Rows in a file's bytes. Only the first ones are random, the others repeat them: the kernels do not care. */
function randomRows(dtype: LadderStep['dtype'], nOut: number): Uint8Array {
  const nRandom = 64;
  const rows = new Uint8Array(rowBytes(dtype, N_IN) * nRandom);
  FORMATS[dtype].pack(randomFloats(nRandom * N_IN, 1), 0, nRandom * N_IN, rows, 0);
  const bytes = new Uint8Array(rowBytes(dtype, N_IN) * nOut);
  for (let at = 0; at < bytes.length; at += rows.length) bytes.set(rows.subarray(0, bytes.length - at), at);
  return bytes;
}

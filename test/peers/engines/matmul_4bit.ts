/**
 * One product with 4-bit weights, y = x w: x [nRows, N_IN], w [N_OUT, N_IN]. The argument says in which engine; each message
 * of the parent is a number of rows, each answer the milliseconds of one run, or an error.
 */
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import { linearScratchBytes, quantizedRowsBytes } from '../../../src/exec/wasm/layout.ts';
import { createNodeHost } from '../../../src/platform/node.ts';
import { type Contender, inTurns, spreadOf } from '../../bench/measure.ts';
import { putFloats, randomFloats, randomMatrix, randomRows } from '../../bench/random_weights.ts';
import { fromQ4_0, onnxMatMul4Bit } from '../onnx_matmul_4bit.ts';
import { createOnnxModel, INSTALL_PEERS } from '../onnxruntime.ts';

const N_IN = 4096;
const N_OUT = 2048;
/** What onnxruntime may do with x: as it likes, or round it to int8. The faster of both counts. */
const ACCURACY_LEVELS = [0, 4] as const;
const SAMPLE_MS = 5;
const WARM_UP_MS = 200;
/** A turn is short, and each is the best of some runs, as others use the machine too. */
const RUNS_A_TURN = 5;

const engine = process.argv[2] as 'glassformer' | 'onnxruntime-web' | 'onnxruntime-node';
const ready = new Map<number, Promise<Contender[]>>();

process.on('message', (nRows: number) => {
  measure(nRows).then(
    (ms) => process.send!({ ms }),
    (e) => process.send!({ error: e instanceof Error ? e.message : String(e) }),
  );
});
process.on('disconnect', () => process.exit(0));

async function measure(nRows: number): Promise<number> {
  const isFirst = !ready.has(nRows);
  if (isFirst) ready.set(nRows, engine === 'glassformer' ? ours(nRows) : theirs(engine, nRows));
  const contenders = await ready.get(nRows)!;
  const pace = { turns: RUNS_A_TURN, sampleMs: SAMPLE_MS, warmUpMs: isFirst ? WARM_UP_MS : 0 };
  const times = await inTurns(contenders, pace);
  return Math.min(...Object.values(times).map((all) => spreadOf(all).min));
}

async function ours(nRows: number): Promise<Contender[]> {
  const { kernels, arena, build } = await instantiateKernels(createNodeHost(), 'auto', ['q4_0']);
  const w = randomMatrix('q4_0', N_OUT, N_IN, kernels, arena);
  const product = kernels.format('q4_0').q8!;
  const x = putFloats(randomFloats(nRows * N_IN, 2), arena);
  const y = arena.alloc(nRows * N_OUT * Float32Array.BYTES_PER_ELEMENT);
  const q = arena.alloc(quantizedRowsBytes(build, nRows, N_IN));
  const scratch = arena.alloc(linearScratchBytes('q4_0', N_IN));
  const run = (): void => {
    kernels.quantizeRowsQ8(q, x, N_IN, nRows, N_IN);
    product(y, N_OUT, q, nRows, N_IN, w.address, N_OUT, 0, w.nPanels, scratch);
  };
  return [{ name: engine, run }];
}

async function theirs(name: 'onnxruntime-web' | 'onnxruntime-node', nRows: number): Promise<Contender[]> {
  const { codes, scales } = fromQ4_0(randomRows('q4_0', N_OUT, N_IN));
  const x = randomFloats(nRows * N_IN, 2);
  const contenders: Contender[] = [];
  for (const level of ACCURACY_LEVELS) {
    const model = onnxMatMul4Bit(nRows, N_IN, N_OUT, codes, scales, level);
    const peer = await createOnnxModel(name, model, x, [nRows, N_IN]);
    if (peer === null) throw new Error(`${name}: not installed; run "${INSTALL_PEERS}"`);
    contenders.push({ name: `${name} ${level}`, run: async () => void (await peer.run()) });
  }
  return contenders;
}

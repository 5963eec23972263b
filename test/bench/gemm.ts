import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { onnxMatMul } from '../peers/onnx_matmul.ts';
import { createOnnxModel, INSTALL_PEERS } from '../peers/onnxruntime.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { loadLadder } from './ladder.ts';
import { type Contender, inTurns, rates, ratios } from './measure.ts';
import { putFloats, randomFloats, randomMatrix } from './random_weights.ts';

const N = 512;
const GFLOP = (2 * N ** 3) / 1e9;
const PEER_AT_LEAST = 1.5;
const PEAK_AT_LEAST = 0.9;

/** A matrix x matrix product, beside a peer's and beside the arithmetic peak. */
export const GEMM: Section = { name: 'gemm', run: measureGemm };

async function measureGemm({ quick }: Pace): Promise<Table> {
  const { kernels, arena } = await instantiateKernels(createNodeHost(), 'simd', ['f32']);
  const ladder = await loadLadder();
  const x = randomFloats(N * N, 2);
  const y = arena.alloc(x.byteLength);
  const input = putFloats(x, arena);
  const w = randomMatrix('f32', N, N, kernels, arena);
  const ours: Contender = {
    name: 'ours',
    run: () => kernels.format('f32').f32(y, N, input, N, N, N, w.address, N, 0, w.nPanels, 0),
  };
  const model = onnxMatMul(N, N, N, randomFloats(N * N, 1));
  const peer = await createOnnxModel('onnxruntime-web', model, x, [N, N]);
  const contenders = [ladder.peak, ours];
  if (peer !== null) contenders.push({ name: 'peer', run: async () => void (await peer.run()) });

  const times = await inTurns(contenders, { turns: quick ? 40 : 200, sampleMs: 12, warmUpMs: 600 });
  const flops = rates(times['ours']!, GFLOP);
  const peak = rates(times['peak']!, ladder.peak.gflop);
  const figures: Figure[] = [
    figure('arithmetic peak, in registers alone', 'GFLOP/s', peak),
    figure('linearF32', 'GFLOP/s', flops),
    figure('linearF32 / peak', 'x', ratios(flops, peak), { atLeast: PEAK_AT_LEAST }),
  ];
  if (peer !== null) {
    const peerFlops = rates(times['peer']!, GFLOP);
    figures.push(
      figure(`onnxruntime-web ${peer.version} MatMul`, 'GFLOP/s', peerFlops),
      figure('linearF32 / onnxruntime-web', 'x', ratios(flops, peerFlops), { atLeast: PEER_AT_LEAST }),
    );
  }
  return {
    title: `f32 GEMM ${N} x ${N} x ${N}`,
    note: 'One thread. Weights are packed when a model is loaded, so packing is not timed; the peer has them as a constant too.',
    figures,
    skipped: peer === null ? `onnxruntime-web: not installed; run "${INSTALL_PEERS}"` : undefined,
  };
}

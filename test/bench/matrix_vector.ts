import { isBlockFormat } from '../../src/core/dtype.ts';
import type { KernelFormat } from '../../src/exec/wasm/format_kernels.ts';
import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import { linearScratchBytes, quantizedRowsBytes } from '../../src/exec/wasm/layout.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { loadLadder } from './ladder.ts';
import { type Contender, inTurns, rates, ratios } from './measure.ts';
import { putFloats, randomFloats, randomMatrix } from './random_weights.ts';

/** In f32 63 MB, in q4_0 35 MB: beyond the caches in every format. */
const N_IN = 2048;
const ROWS: Readonly<Record<KernelFormat, number>> = {
  f32: 8192,
  f16: 16384,
  bf16: 16384,
  q8_0: 30720,
  q4_0: 57344,
  q4_k: 57344,
  q6_k: 40960,
  q5_k: 49152,
  q2_k: 98304,
  q3_k: 73728,
  iq4_xs: 57344,
  q4_1: 49152,
  q5_0: 49152,
  q5_1: 40960,
  iq4_nl: 57344,
  mxfp4: 57344,
};
const DTYPES = Object.keys(ROWS) as KernelFormat[];

/** Matrix x vector in every format: what decoding is made of. */
export const MATRIX_VECTOR: Section = { name: 'matvec', run: measureMatrixVector };

async function measureMatrixVector({ quick }: Pace): Promise<Table> {
  const { kernels, arena, build } = await instantiateKernels(createNodeHost(), 'auto', DTYPES);
  const ladder = await loadLadder();
  const x = putFloats(randomFloats(N_IN, 2), arena);
  const y = arena.alloc(Math.max(...Object.values(ROWS)) * Float32Array.BYTES_PER_ELEMENT);
  const q = arena.alloc(quantizedRowsBytes(build, 1, N_IN));
  const contenders: Contender[] = [ladder.stream];
  const gb: Record<string, number> = {};
  for (const dtype of DTYPES) {
    const w = randomMatrix(dtype, ROWS[dtype], N_IN, kernels, arena);
    const scratch = arena.alloc(linearScratchBytes(dtype, N_IN));
    const { f32, q8 } = kernels.format(dtype);
    const name = isBlockFormat(dtype) ? `${dtype}, activations f32` : dtype;
    gb[name] = w.nBytes / 1e9;
    contenders.push({
      name,
      run: () => f32(y, w.nOut, x, N_IN, 1, N_IN, w.address, w.nOut, 0, w.nPanels, scratch),
    });
    if (q8 === undefined) continue;
    gb[`${dtype}, activations q8`] = w.nBytes / 1e9;
    contenders.push({
      name: `${dtype}, activations q8`,
      run() {
        kernels.quantizeRowsQ8(q, x, N_IN, 1, N_IN);
        q8(y, w.nOut, q, 1, N_IN, w.address, w.nOut, 0, w.nPanels, scratch);
      },
    });
  }
  const times = await inTurns(contenders, { turns: quick ? 15 : 75, sampleMs: 5, warmUpMs: 300 });
  const stream = rates(times['stream']!, ladder.stream.gb);
  const figures: Figure[] = [figure('stream read', 'GB/s', stream)];
  for (const name of Object.keys(gb)) {
    const rate = rates(times[name]!, gb[name]!);
    figures.push(figure(name, 'GB/s', rate), figure(`${name}: share of the stream read`, 'x', ratios(rate, stream)));
  }
  return {
    title: 'Matrix x vector',
    note: `Bytes of packed weights per second, ${build} build, rows of ${N_IN}; beside them one core reading memory with nothing else to do.`,
    figures,
  };
}

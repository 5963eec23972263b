import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { gamma } from '../../src/core/sum.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { randomFloats, randomRows } from '../bench/random_weights.ts';
import { fromQ4_0, onnxMatMul4Bit } from './onnx_matmul_4bit.ts';
import { createOnnxModel } from './onnxruntime.ts';

const [N_ROWS, N_IN, N_OUT] = [3, 256, 64];
const x = randomFloats(N_ROWS * N_IN, 2);
const bytes = randomRows('q4_0', N_OUT, N_IN);

describe('MatMulNBits has our weights', () => {
  test('with f32 activations its products are those of q4_0, within the bound of their sums', async () => {
    const { codes, scales } = fromQ4_0(bytes);
    const model = await createOnnxModel('onnxruntime-web', onnxMatMul4Bit(N_ROWS, N_IN, N_OUT, codes, scales, 0), x, [
      N_ROWS,
      N_IN,
    ]);
    const y = await model!.run();
    const w = new Float32Array(N_OUT * N_IN);
    FORMATS.q4_0.unpack(bytes, 0, w, 0, w.length);
    for (let t = 0; t < N_ROWS; t++) {
      for (let o = 0; o < N_OUT; o++) {
        let [sum, sumAbs] = [0, 0];
        for (let i = 0; i < N_IN; i++) {
          const term = x[t * N_IN + i]! * w[o * N_IN + i]!;
          sum += term;
          sumAbs += Math.abs(term);
        }
        // Any order of the sum, and two roundings more: of the weight and of its product.
        expect(Math.abs(y[t * N_OUT + o]! - sum)).toBeLessThanOrEqual(gamma(N_IN + 2) * sumAbs);
      }
    }
  });
});

test('native and WASM packages are refused in one process: the second would run as the first', async () => {
  const { codes, scales } = fromQ4_0(bytes);
  const model = onnxMatMul4Bit(N_ROWS, N_IN, N_OUT, codes, scales, 0);
  await createOnnxModel('onnxruntime-web', model, x, [N_ROWS, N_IN]);
  await expect(createOnnxModel('onnxruntime-node', model, x, [N_ROWS, N_IN])).rejects.toThrow(/process of its own/);
});

test('alone, onnxruntime-node runs native code', () => {
  const program = `
    const { createOnnxModel } = await import(${JSON.stringify(new URL('onnxruntime.ts', import.meta.url).href)});
    const { onnxMatMul } = await import(${JSON.stringify(new URL('onnx_matmul.ts', import.meta.url).href)});
    const model = await createOnnxModel('onnxruntime-node', onnxMatMul(1, 2, 1, Float32Array.of(3, 4)), Float32Array.of(1, 2), [1, 2]);
    const { readFileSync } = await import('node:fs');
    const isMapped = readFileSync('/proc/self/maps', 'utf8').includes('onnxruntime_binding.node');
    console.log(JSON.stringify({ y: [...await model.run()], isMapped }));`;
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const stdout = execFileSync(process.execPath, ['--import', tsx, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(JSON.parse(stdout)).toEqual({ y: [11], isMapped: true });
});

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { onnxMatMul } from './onnx_matmul.ts';

/** What is used of onnxruntime-web: declared here, since the package may not be installed. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly InferenceSession: {
    create(model: Uint8Array, options: { executionProviders: string[] }): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: number[]) => unknown;
}

interface OnnxSession {
  run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
}

export interface OnnxMatMul {
  readonly version: string;
  /** y = x * w, [nRows, nOut]. */
  run(): Promise<Float32Array>;
}

export const INSTALL_PEERS = 'npm ci --prefix test/peers';

/**
 * onnxruntime-web's MatMul on one thread of its WASM backend.  x: f32 [nRows, nIn].  w: f32 [nIn, nOut].
 * null where the package is not installed (INSTALL_PEERS).
 */
export async function createOnnxMatMul(
  x: Float32Array,
  w: Float32Array,
  nRows: number,
  nIn: number,
  nOut: number,
): Promise<OnnxMatMul | null> {
  const require = createRequire(fileURLToPath(new URL('package.json', import.meta.url)));
  let ort: OnnxRuntime;
  try {
    ort = require('onnxruntime-web') as OnnxRuntime;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null;
    throw e;
  }
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(onnxMatMul(nRows, nIn, nOut, w), { executionProviders: ['wasm'] });
  const feeds = { x: new ort.Tensor('float32', x, [nRows, nIn]) };
  const { dependencies } = require('./package.json') as { dependencies: Record<string, string> };
  return {
    version: dependencies['onnxruntime-web']!,
    run: async () => (await session.run(feeds))['y']!.data,
  };
}

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What is used of onnxruntime-web and -node: declared here, since the packages may not be installed. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: number[]) => unknown;
}

interface OnnxSession {
  run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
}

export interface OnnxModel {
  readonly version: string;
  /** Its output y. */
  run(): Promise<Float32Array>;
}

export const INSTALL_PEERS = 'npm ci --prefix test/peers';

/**
 * A model of one input x and one output y in onnxruntime, on one thread of its processor backend.
 * null where the package is not installed (INSTALL_PEERS).
 *
 * Throws where the other package was loaded in this process: both register their backends in one onnxruntime-common, and
 * what is loaded second runs on the backend of the first without a word, native code on WASM.
 */
export async function createOnnxModel(
  name: 'onnxruntime-web' | 'onnxruntime-node',
  model: Uint8Array,
  x: Float32Array,
  shape: readonly number[],
): Promise<OnnxModel | null> {
  const require = createRequire(fileURLToPath(new URL('package.json', import.meta.url)));
  const other = `/node_modules/${name === 'onnxruntime-web' ? 'onnxruntime-node' : 'onnxruntime-web'}/`;
  if (Object.keys(require.cache).some((path) => path.replaceAll('\\', '/').includes(other))) {
    throw new Error(`${name}: ${other} is loaded in this process and would run in its place; use a process of its own`);
  }
  let ort: OnnxRuntime;
  try {
    ort = require(name) as OnnxRuntime;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null;
    throw e;
  }
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [name === 'onnxruntime-web' ? 'wasm' : 'cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const feeds = { x: new ort.Tensor('float32', x, [...shape]) };
  const { dependencies } = require('./package.json') as { dependencies: Record<string, string> };
  return { version: dependencies[name]!, run: async () => (await session.run(feeds))['y']!.data };
}

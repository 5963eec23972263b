import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answer, Call, OpenOptions, Sample } from './engines/engine.ts';
import { flagsOf } from './nodes.ts';

/** An engine in a process of its own, which waits between calls. */
export interface EngineProcess {
  readonly version: string;
  readonly node: { readonly node: string; readonly v8: string };
  readonly weightBytes: number | undefined;
  /** Of opening the model. */
  readonly load: Sample;
  /** Opens another model in place of the one before. */
  open(options: OpenOptions): Promise<Sample>;
  prefill(nTokens: number): Promise<Sample>;
  decode(nTokens: number, after: number): Promise<Sample>;
  /** Reads STREAM_BYTES of memory, see bench/ladder.ts. */
  stream(): Promise<Sample>;
  /** The logits of the last position of `ids`. */
  logits(ids: readonly number[]): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** The end of what a child that fails writes on stderr is told. */
const STDERR_TAIL = 2000;

/**
 * Starts engines/<name>.ts under `node` (with `flags`) and opens a model in it.
 * Throws with the child's own words when it does not start, does not open the model, or ends.
 */
export async function startEngine(
  name: 'glassformer' | 'llama_cpp',
  options: OpenOptions,
  node: string = process.execPath,
  flags: readonly string[] = [],
): Promise<EngineProcess> {
  const child = fork(fileURLToPath(new URL(`engines/${name}.ts`, import.meta.url)), {
    execPath: node,
    execArgv: [...flagsOf(node), ...flags],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const call = caller(child, name);
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  try {
    const { sample: load, version, node: versions, weightBytes } = await call({ name: 'open', options });
    return {
      version: version!,
      node: versions!,
      weightBytes,
      load: load!,
      open: async (other) => (await call({ name: 'open', options: other })).sample!,
      prefill: async (nTokens) => (await call({ name: 'prefill', nTokens })).sample!,
      decode: async (nTokens, after) => (await call({ name: 'decode', nTokens, after })).sample!,
      stream: async () => (await call({ name: 'stream' })).sample!,
      logits: async (ids) => (await call({ name: 'logits', ids })).logits!,
      close,
    };
  } catch (e) {
    await close();
    throw e;
  }
}

function caller(child: ChildProcess, name: string): (call: Call) => Promise<Exclude<Answer, { error: string }>> {
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-STDERR_TAIL);
  });
  let settle: ((answer: Answer) => void) | undefined;
  const end = (why: string): void => settle?.({ error: `${name}: ${why}\n${stderr.trim()}` });
  child.on('message', (answer: Answer) => settle?.(answer));
  child.on('error', (e) => end(e.message));
  child.on('exit', (code, signal) => end(`its process ended with ${signal ?? `code ${code}`}`));
  return (call) =>
    new Promise((resolve, reject) => {
      settle = (answer) => {
        settle = undefined;
        if ('error' in answer) reject(new Error(answer.error));
        else resolve(answer);
      };
      if (!child.connected) end('its process has ended');
      else child.send(call);
    });
}

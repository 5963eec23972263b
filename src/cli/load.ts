import type { Model } from '../engine/model.ts';
import type { LoadOptions } from '../engine/options.ts';
import type { Io } from './io.ts';
import { createProgress } from './progress.ts';

/**
 * Loads a model for a command: the bar on stderr, Ctrl-C between two chunks. Throws what loading throws.
 *
 * The engine is imported here, by need: `--help` and wrong usage answer without it.
 */
export async function loadForCommand(io: Io, model: string, options: LoadOptions): Promise<Model> {
  const { loadModel } = await import('../index.node.ts');
  const progress = createProgress(io);
  const onNotice = (line: string): void => void io.stderr.write(`${line}\n`);
  try {
    const { onProgress, onMemoryNeed } = progress;
    return await loadModel(model, { ...options, signal: io.signal, onProgress, onMemoryNeed, onNotice });
  } finally {
    progress.done();
  }
}

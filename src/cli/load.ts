import type { Model } from '../engine/model.ts';
import type { LoadOptions } from '../engine/options.ts';
import { printable } from './format.ts';
import type { Io } from './io.ts';
import { createProgress } from './progress.ts';

/**
 * Loads a model for a command: the bar on stderr, Ctrl-C between two chunks. Throws what loading throws.
 *
 * The engine is imported here, by need: `--help` and wrong usage answer without it.
 */
export async function loadForCommand(io: Io, model: string, options: LoadOptions): Promise<Model> {
  const { loadModel } = await import('../index.node.ts');
  const path = await downloaded(io, model);
  const progress = createProgress(io);
  const onNotice = (line: string): void => void io.stderr.write(`${line}\n`);
  try {
    const { onProgress, onMemoryNeed } = progress;
    return await loadModel(path, { ...options, signal: io.signal, onProgress, onMemoryNeed, onNotice });
  } finally {
    progress.done();
  }
}

/** The path of a model of the hub, with a bar of its own while it comes; any other model is itself. */
export async function downloaded(io: Io, model: string): Promise<string> {
  const { isHubReference } = await import('../platform/hub/reference.ts');
  if (!isHubReference(model)) return model;
  const { downloadModel } = await import('../platform/hub/download.ts');
  const { onProgress, done } = createProgress(io, 'downloading');
  const onNotice = (line: string): void => void io.stderr.write(`${printable(line)}\n`);
  try {
    return await downloadModel(model, { signal: io.signal, env: io.env, onProgress, onNotice });
  } finally {
    done();
  }
}

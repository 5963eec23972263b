import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** One change of a source file. */
export interface Mutation {
  readonly from: string;
  readonly to: string;
}

/** A module of src with one place changed. Throws unless `from` is there exactly once: a mutant of text that has moved tests nothing. */
export async function mutatedModule<T>(source: URL, { from, to }: Mutation): Promise<T> {
  const text = await readFile(source, 'utf8');
  const nFound = text.split(from).length - 1;
  if (nFound !== 1) throw new Error(`${source.pathname} has ${JSON.stringify(from)} ${nFound} times, expected once`);
  const mutant = text
    .replace(from, () => to)
    .replace(/from '(\.[^']*)'/g, (_, path: string) => `from '${new URL(path, source).href.replace('file://', '')}'`);
  const folder = await mkdtemp(join(tmpdir(), 'glassformer-mutant-'));
  try {
    const file = join(folder, 'mutant.ts');
    await writeFile(file, mutant);
    return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as T;
  } finally {
    await rm(folder, { recursive: true });
  }
}

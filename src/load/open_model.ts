import { ConfigError, FormatError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';
import type { ModelFile } from './model_file.ts';

/** Enough to see a GGUF magic, and the brace behind the u64 of a safetensors file. */
const PROBE_BYTES = 9;

/** First bytes of formats that people try to load. */
const KNOWN_OTHERS: readonly (readonly [start: string, what: string])[] = [
  ['PK\x03\x04', 'a zip archive (a PyTorch checkpoint)'],
  ['\x80\x02', 'a Python pickle (a PyTorch checkpoint)'],
  ['lmgg', 'a GGML file, the format before GGUF'],
  ['fmgg', 'a GGML file, the format before GGUF'],
  ['tjgg', 'a GGML file, the format before GGUF'],
  ['\x89HDF', 'an HDF5 file'],
  ['version https://git-lfs', 'a pointer of Git LFS, not the file itself (run "git lfs pull")'],
];

/**
 * Opens a weight file by its content, whatever it is called: GGUF, safetensors, or the index of a sharded safetensors model.
 * `folder` is where further shards are. The reader of a format is loaded with the first file that has it.
 *
 * The result owns `source`; when this throws, `source` is still the caller's.
 * Throws FormatError when it is none of these, UnsupportedError when it is another known format, and what the readers throw.
 */
export async function openModelFile(source: ByteSource, folder?: SourceFolder): Promise<ModelFile> {
  const start = await readStart(source);
  if (start.startsWith('GGUF')) return (await import('./gguf.ts')).openGguf(source, folder);
  // Before the others: a header of 640 bytes begins like a pickle.
  if (start[8] === '{') return (await import('./safetensors.ts')).openSafetensors(source);
  for (const [magic, what] of KNOWN_OTHERS) {
    if (start.startsWith(magic.slice(0, PROBE_BYTES))) {
      throw new UnsupportedError(`${source.name}: is ${what}; GGUF and safetensors can be read`);
    }
  }
  if (start[0] === '{' && source.name.endsWith('.index.json')) return openIndex(source, folder);
  if (source.name.endsWith('.safetensors')) return (await import('./safetensors.ts')).openSafetensors(source); // which says what is wrong, and where
  if (start === '') throw new FormatError(`${source.name}: is empty, 0 bytes; fetch it again, or give another file`, 0);
  throw new FormatError(
    `${source.name}: is neither a GGUF nor a safetensors file; give one of these, or a Hugging Face folder`,
    0,
  );
}

/** The first bytes, one character each; fewer when the source is shorter. */
async function readStart(source: ByteSource): Promise<string> {
  const bytes = new Uint8Array(Math.min(PROBE_BYTES, source.size));
  await source.read(0, bytes);
  return String.fromCharCode(...bytes);
}

async function openIndex(index: ByteSource, folder: SourceFolder | undefined): Promise<ModelFile> {
  if (!folder) {
    throw new ConfigError(`${index.name}: is an index of shards, which need their folder; give the folder instead`);
  }
  const { openSafetensorsShards } = await import('./safetensors_shards.ts');
  const model = await openSafetensorsShards(index, folder);
  return {
    ...model,
    async close() {
      await model.close();
      await index.close();
    },
  };
}

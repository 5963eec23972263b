import { ConfigError, FormatError } from '../core/errors.ts';
import type { ByteSource, SourceFolder } from '../core/host.ts';
import { getCount, type Metadata } from '../core/metadata.ts';
import { type GgufHeader, readGgufHeader } from './gguf_header.ts';
import type { ModelFile, TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';

/**
 * A model that was split has files "<prefix>-00001-of-0000N.gguf". The first has all of the metadata; each has
 *   split.no             its index, counted from 0
 *   split.count          N
 *   split.tensors.count  tensors in all shards together
 */
const SHARD_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/s;

/**
 * Opens a GGUF file, with all of its shards when it is the first shard of a split model. `folder` is where the other
 * shards are.
 *
 * The result owns `source`. When this throws, shards opened here are closed and `source` is still the caller's.
 * Throws FormatError, UnsupportedError and CapacityError as `readGgufHeader` does; ConfigError when `source` is not the
 * first shard, or a shard is missing; FormatError when shards contradict each other.
 */
export async function openGguf(source: ByteSource, folder?: SourceFolder): Promise<ModelFile> {
  const first = await readGgufHeader(source);
  const nShards = getCount(first.metadata, 'split.count') ?? 1;
  if (nShards <= 1) return modelFile(first.metadata, first.tensors, [source]);

  const prefix = checkFirstShard(source, first.metadata, nShards);
  const opened: ByteSource[] = [];
  try {
    const tensors = new Map(first.tensors);
    for (let no = 1; no < nShards; no++) {
      const shard = await openShard(folder, source, shardName(prefix, no, nShards));
      opened.push(shard);
      addShard(tensors, shard, await readGgufHeader(shard), no, nShards);
    }
    checkTotal(source, first, tensors.size);
    return modelFile(first.metadata, tensors, [source, ...opened]);
  } catch (error) {
    for (const shard of opened) await shard.close();
    throw error;
  }
}

function modelFile(metadata: Metadata, tensors: ReadonlyMap<string, TensorInfo>, sources: ByteSource[]): ModelFile {
  return {
    format: 'gguf',
    name: sources[0]!.name,
    metadata,
    tensors,
    async close() {
      for (const source of sources) await source.close();
    },
  };
}

function shardName(prefix: string, no: number, nShards: number): string {
  const five = (n: number) => String(n).padStart(5, '0');
  return `${prefix}-${five(no + 1)}-of-${five(nShards)}.gguf`;
}

/** Gives the shards' common prefix. Throws ConfigError unless `source` is by name and by metadata the first of nShards. */
function checkFirstShard(source: ByteSource, metadata: Metadata, nShards: number): string {
  const fileName = source.name.slice(Math.max(source.name.lastIndexOf('/'), source.name.lastIndexOf('\\')) + 1);
  const [, prefix, number, count] = SHARD_NAME.exec(fileName) ?? [];
  if (prefix === undefined || Number(count) !== nShards) {
    throw new ConfigError(
      `${source.name}: split.count is ${nShards}, so its name must be like "${shardName('model', 0, nShards)}"; rename the shards back`,
    );
  }
  const no = getCount(metadata, 'split.no');
  if (no !== 0 || Number(number) !== 1) {
    throw new ConfigError(
      `${source.name}: is shard number ${number} (split.no ${no}), not the first; open ${shardName(prefix, 0, nShards)}`,
    );
  }
  return prefix;
}

async function openShard(folder: SourceFolder | undefined, first: ByteSource, fileName: string): Promise<ByteSource> {
  const shard = await folder?.open(fileName);
  if (shard) return shard;
  const where = folder
    ? `is not in ${folder.name}`
    : 'cannot be reached from here: a single source was given, not its folder';
  throw new ConfigError(`${first.name}: its shard ${fileName} ${where}; put all shards into one folder`);
}

/** Adds a shard's tensors. Throws FormatError when the shard belongs to another split, or brings a name twice. */
function addShard(
  tensors: Map<string, TensorInfo>,
  shard: ByteSource,
  header: GgufHeader,
  no: number,
  nShards: number,
): void {
  expectCount(shard, header, 'split.no', no);
  expectCount(shard, header, 'split.count', nShards);
  for (const [name, info] of header.tensors) {
    const other = tensors.get(name);
    if (other) {
      throw new FormatError(`${shard.name}: tensor ${quote(name)} is also in shard ${other.source.name}`, info.offset);
    }
    tensors.set(name, info);
  }
}

function checkTotal(source: ByteSource, first: GgufHeader, nTensors: number): void {
  if (first.metadata.has('split.tensors.count')) expectCount(source, first, 'split.tensors.count', nTensors);
}

function expectCount(source: ByteSource, header: GgufHeader, key: string, expected: number): void {
  const found = getCount(header.metadata, key);
  if (found === expected) return;
  throw new FormatError(
    `${source.name}: ${key} is ${found ?? 'missing'}, expected ${expected}; the shards are not of one split`,
    header.valueOffsets.get(key) ?? 0,
  );
}

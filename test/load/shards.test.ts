import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { type GgufTensor, writeGguf } from '../../src/load/gguf_writer.ts';
import { openSafetensorsShards } from '../../src/load/safetensors_shards.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { folderOf, watch } from './sources.ts';

describe('GGUF shards', () => {
  interface Shard {
    no?: number;
    count?: number;
    total?: number;
    names: string[];
  }
  const tensor = (name: string): GgufTensor => ({ name, type: 'f32', shape: [1], bytes: new Uint8Array(4) });
  const shardFile = ({ no, count, total, names }: Shard) =>
    writeGguf({
      metadata: [
        ['general.architecture', 'string', 'test'],
        ...(no === undefined ? [] : [['split.no', 'u16', no] as const]),
        ...(count === undefined ? [] : [['split.count', 'u16', count] as const]),
        ...(total === undefined ? [] : [['split.tensors.count', 'i32', total] as const]),
      ],
      tensors: names.map(tensor),
    });
  const NAMES = ['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00003-of-00003.gguf'];
  const good: Shard[] = [
    { no: 0, count: 3, total: 4, names: ['a'] },
    { no: 1, count: 3, total: 4, names: ['b', 'c'] },
    { no: 2, count: 3, total: 4, names: ['d'] },
  ];
  /** Opens shard `first` of a folder that holds the given shards. */
  const openShards = async (shards: (Shard | null)[], first = 0, name = `dir/${NAMES[first]}`) => {
    const files = shards.flatMap((shard, i) => (shard ? [[NAMES[i]!, shardFile(shard)]] : []));
    const folder = folderOf(Object.fromEntries(files));
    const source = watch(bufferSource(name, shardFile(shards[first]!)));
    const result = await openGguf(source, folder).catch((error: unknown) => error as Error);
    return { result, folder, source };
  };

  test('are one model, in the shards’ order, and close together', async () => {
    const { result, folder, source } = await openShards(good);
    if (result instanceof Error) throw result;
    expect([...result.tensors.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect(result.tensors.get('c')?.source.name).toBe(`folder/${NAMES[1]}`);
    expect(folder.opened.map((shard) => shard.isClosed)).toEqual([false, false]);
    await result.close();
    expect([source, ...folder.opened].map((shard) => shard.isClosed)).toEqual([true, true, true]);
  });

  const bad: [string, (Shard | null)[], typeof FormatError | typeof ConfigError, RegExp, number?, string?][] = [
    ['a missing shard', [good[0]!, good[1]!, null], ConfigError, /00003-of-00003\.gguf is not in folder/],
    ['not the first shard', good, ConfigError, /open m-00001-of-00003\.gguf/, 1],
    ['a renamed first shard', good, ConfigError, /rename the shards back/, 0, 'model.gguf'],
    ['a first shard of another count', good, ConfigError, /rename/, 0, 'm-00001-of-00002.gguf'],
    ['a shard in the wrong place', [good[0]!, good[2]!, good[1]!], FormatError, /split\.no is 2, expected 1/],
    ['a shard of another split', [good[0]!, { ...good[1]!, count: 4 }, good[2]!], FormatError, /split\.count is 4/],
    ['a shard that is none', [good[0]!, { names: ['b', 'c'] }, good[2]!], FormatError, /split\.no is missing/],
    ['a name in two shards', [good[0]!, good[1]!, { ...good[2]!, names: ['a'] }], FormatError, /"a" is also in shard/],
    [
      'a tensor too few',
      [good[0]!, { ...good[1]!, names: ['b'] }, good[2]!],
      FormatError,
      /split\.tensors\.count is 4, expected 3/,
    ],
  ];
  for (const [what, shards, errorClass, message, first, name] of bad) {
    test(`${what} is refused, and nothing stays open but the caller's source`, async () => {
      const { result, folder, source } = await openShards(shards, first, name);
      expect(result).toBeInstanceOf(errorClass);
      expect((result as Error).message).toMatch(message);
      expect(folder.opened.every((shard) => shard.isClosed)).toBe(true);
      expect(source.isClosed).toBe(false);
    });
  }

  test('need their folder', async () => {
    await expect(openGguf(bufferSource(NAMES[0]!, shardFile(good[0]!)))).rejects.toThrow(ConfigError);
  });
});

describe('safetensors shards', () => {
  const shardOf = (...names: string[]) =>
    writeSafetensors(names.map((name) => ({ name, dtype: 'F32', shape: [1], data: new Float32Array(1) })));
  const openIndex = async (index: string, files: Record<string, Uint8Array>) => {
    const folder = folderOf(files);
    const source = bufferSource('model.safetensors.index.json', new TextEncoder().encode(index));
    const result = await openSafetensorsShards(source, folder).catch((error: unknown) => error as Error);
    return { result, folder };
  };
  const files = { '1.safetensors': shardOf('a', 'b'), '2.safetensors': shardOf('c') };
  const map = (places: Record<string, string>) => JSON.stringify({ metadata: { total_size: 12 }, weight_map: places });
  const right = { c: '2.safetensors', a: '1.safetensors', b: '1.safetensors' };

  test('are one model, in the index’s order, and close together', async () => {
    const { result, folder } = await openIndex(map(right), files);
    if (result instanceof Error) throw result;
    expect([...result.tensors.keys()]).toEqual(['c', 'a', 'b']);
    expect(folder.opened.length).toBe(2);
    await result.close();
    expect(folder.opened.every((shard) => shard.isClosed)).toBe(true);
  });

  const { b: _, ...withoutB } = right;
  const bad: [string, string, typeof FormatError | typeof ConfigError, RegExp][] = [
    ['a tensor that its shard lacks', map({ ...right, d: '2.safetensors' }), FormatError, /"d" is not in its shard 2/],
    [
      'a tensor placed in another shard',
      map({ ...right, b: '2.safetensors' }),
      FormatError,
      /"b" is not in its shard 2/,
    ],
    ['a tensor that the index lacks', map(withoutB), FormatError, /has tensor "b", .* does not have it/],
    ['a missing shard', map({ ...right, d: '3.safetensors' }), ConfigError, /3\.safetensors is not in folder/],
    ['a path up', map({ a: '../1.safetensors' }), FormatError, /expected the name of a \.safetensors file/],
    ['an absolute path', map({ a: '/1.safetensors' }), FormatError, /expected the name/],
    ['a Windows path', map({ a: 'C:1.safetensors' }), FormatError, /expected the name/],
    ['another kind of file', map({ a: 'pickle.bin' }), FormatError, /expected the name/],
    ['a tensor twice', '{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}', FormatError, /key "a" twice/],
    ['two maps', '{"weight_map":{},"weight_map":{}}', FormatError, /twice/],
    ['no map', '{}', FormatError, /no weight_map/],
    ['text that is no JSON', '{', FormatError, /at byte 1/],
  ];
  for (const [what, index, errorClass, message] of bad) {
    test(`${what} is refused, and no shard stays open`, async () => {
      const { result, folder } = await openIndex(index, files);
      expect(result).toBeInstanceOf(errorClass);
      expect((result as Error).message).toMatch(message);
      expect(folder.opened.every((shard) => shard.isClosed)).toBe(true);
    });
  }

  test('a damaged shard is refused and closed', async () => {
    const { result, folder } = await openIndex(map(right), { ...files, '1.safetensors': new Uint8Array(20) });
    expect(result).toBeInstanceOf(FormatError);
    expect(folder.opened.every((shard) => shard.isClosed)).toBe(true);
  });
});

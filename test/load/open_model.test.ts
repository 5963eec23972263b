import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { everyDamage, folderOf, openAnything } from './sources.ts';

const latin1 = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const gguf = writeGguf({ metadata: [], tensors: [] });
const weights = writeSafetensors([{ name: 'a', dtype: 'I32', shape: [1], data: Int32Array.of(1) }]);
const open = (bytes: Uint8Array, name = 'file') => openModelFile(bufferSource(name, bytes));

describe('openModelFile', () => {
  test('goes by content, not by name', async () => {
    expect((await open(gguf, 'model.safetensors')).format).toBe('gguf');
    expect((await open(weights, 'model.gguf')).format).toBe('safetensors');
  });

  test('a header of 640 bytes begins like a pickle and is none', async () => {
    for (let size = 0; size < 700; size++) {
      const file = writeSafetensors([], { pad: ' '.repeat(size) });
      if (file[0] !== 0x80 || file[1] !== 0x02) continue;
      expect((await open(file)).format).toBe('safetensors');
      return;
    }
    throw new Error('no such file was made');
  });

  test('an index opens its shards and closes with them', async () => {
    const folder = folderOf({
      'model.safetensors.index.json': latin1('{"weight_map":{"a":"x.safetensors"}}'),
      'x.safetensors': weights,
    });
    const index = (await folder.open('model.safetensors.index.json'))!;
    const model = await openModelFile(index, folder);
    expect([...model.tensors.keys()]).toEqual(['a']);
    await model.close();
    expect(folder.opened.every((source) => source.isClosed)).toBe(true);
    await expect(open(latin1('{"weight_map":{}}'), 'model.safetensors.index.json')).rejects.toThrow(ConfigError);
  });

  test('known other formats are unsupported by name', async () => {
    const others: [string, RegExp][] = [
      ['PK\x03\x04 and so on', /zip/],
      ['\x80\x02\x8a\x0al\xfc\x9cF\xf9', /pickle/],
      ['tjgg\x03\0\0\0', /before GGUF/],
      ['version https://git-lfs.github.com/spec/v1', /git lfs pull/],
    ];
    for (const [start, message] of others) {
      await expect(open(latin1(start))).rejects.toThrow(UnsupportedError);
      await expect(open(latin1(start))).rejects.toThrow(message);
    }
  });

  test('where the name promises safetensors, its reader says what is wrong', async () => {
    await expect(open(latin1('\x03\0\0\0\0\0\0\0[1]'), 'a.safetensors')).rejects.toThrow(
      'a.safetensors: the header does not begin with "{" (at byte 8)',
    );
    await expect(open(latin1('\x01\0'), 'a.safetensors')).rejects.toThrow(/a\.safetensors: .*header.* \(at byte 0\)/);
  });

  test('anything else, however short, is a FormatError', async () => {
    for (const bytes of ['', 'G', 'GGU', 'hello, world', '{"a": 1}']) {
      await expect(open(latin1(bytes)), bytes).rejects.toThrow(FormatError);
    }
  });

  test('every damage to a small file is a typed error or a model', async () => {
    const opened: (Error | null)[] = [];
    await everyDamage(gguf, async (bytes) => void opened.push(await openAnything(openModelFile, bytes)));
    await everyDamage(weights, async (bytes) => void opened.push(await openAnything(openModelFile, bytes)));
    expect(opened.some((error) => error === null)).toBe(true);
    expect(opened.some((error) => error !== null)).toBe(true);
  });
});

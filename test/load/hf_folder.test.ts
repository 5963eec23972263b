import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, FormatError } from '../../src/core/errors.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import { readJsonObject } from '../../src/load/json_file.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { folderOf } from './sources.ts';

const text = (s: string) => new TextEncoder().encode(s);
const weights = writeSafetensors([{ name: 'a', dtype: 'F32', shape: [1], data: new Float32Array(1) }]);
const config = text('{"model_type": "llama"}');

describe('a model folder', () => {
  test('gives every file it has, null for what it lacks, and leaves only the weights open', async () => {
    const folder = folderOf({ 'config.json': config, 'model.safetensors': weights });
    const bare = await openHfFolder(folder);
    expect(bare).toMatchObject({
      config: { model_type: 'llama' },
      tokenizerJson: null,
      tokenizerConfig: null,
      generationConfig: null,
      chatTemplate: null,
    });
    expect(folder.opened.map((source) => source.isClosed)).toEqual([true, false]);
    await bare.weights.close();
    expect(folder.opened.every((source) => source.isClosed)).toBe(true);

    const full = await openHfFolder(
      folderOf({
        'config.json': config,
        'tokenizer.json': text('{"version": "1.0"}'),
        'tokenizer_config.json': text('{"bos_token": "<s>"}'),
        'generation_config.json': text('{"top_p": 0.9}'),
        'chat_template.jinja': text('{{ messages }}'),
        'model.safetensors.index.json': text('{"weight_map": {"a": "x.safetensors"}}'),
        'x.safetensors': weights,
      }),
    );
    expect(full.tokenizerJson).toEqual({ version: '1.0' });
    expect(full.tokenizerConfig).toEqual({ bos_token: '<s>' });
    expect(full.generationConfig).toEqual({ top_p: 0.9 });
    expect(full.chatTemplate).toBe('{{ messages }}');
    expect([...full.weights.tensors.keys()]).toEqual(['a']);
  });

  const bad: [string, Record<string, Uint8Array>, typeof FormatError | typeof ConfigError, RegExp][] = [
    ['without a config', { 'model.safetensors': weights }, ConfigError, /no config\.json.*give the folder/],
    ['without weights', { 'config.json': config }, ConfigError, /neither model\.safetensors nor .*convert/],
    [
      'with a config that is no JSON',
      { 'config.json': text('{"a": 1,}') },
      FormatError,
      /folder\/config\.json.*byte 8/,
    ],
    ['with a config that is no object', { 'config.json': text('[1]') }, ConfigError, /an array, expected an object/],
    [
      'with a template that is no text',
      { 'config.json': config, 'chat_template.jinja': Uint8Array.of(255) },
      FormatError,
      /UTF-8/,
    ],
    ['with damaged weights', { 'config.json': config, 'model.safetensors': new Uint8Array(9) }, FormatError, /header/],
  ];
  for (const [what, files, errorClass, message] of bad) {
    test(`${what} is refused, and nothing stays open`, async () => {
      const folder = folderOf(files);
      const error = await openHfFolder(folder).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(errorClass);
      expect((error as Error).message).toMatch(message);
      expect(folder.opened.every((source) => source.isClosed)).toBe(true);
    });
  }
});

describe('a JSON file', () => {
  const read = async (bytes: Uint8Array, size = bytes.length) => {
    const source = (await folderOf({ 'f.json': bytes }).open('f.json'))!;
    return readJsonObject({ ...source, size });
  };

  test('is parsed as JSON.parse does', async () => {
    const value = { a: [1, -2.5e3, 'é\n"\\', null, true], __proto__: { b: {} }, '[{': ']}' };
    expect(await read(text(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)));
  });

  const bad: [string, Uint8Array, number][] = [
    ['empty', text(''), 0],
    ['cut short', text('{"a": '), 6],
    ['with a byte that is no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22), 2],
    ['with a byte order mark', text('\ufeff{}'), 0],
    ['with a comment', text('{} // end'), 3],
  ];
  for (const [what, bytes, offset] of bad) {
    test(`${what}: a FormatError at byte ${offset}`, async () => {
      const error = await read(bytes).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as FormatError).offset).toBe(offset);
    });
  }

  test('nested too deep is a FormatError: later readers recurse', async () => {
    await expect(read(text(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`))).rejects.toThrow(FormatError);
    await expect(read(text(`${'{"a":'.repeat(64)}1${'}'.repeat(64)}`))).resolves.toBeDefined();
    // Brackets inside strings are not nesting.
    await expect(read(text(`{"a": "${'['.repeat(100)}\\"${'{'.repeat(100)}"}`))).resolves.toBeDefined();
  });

  test('beyond 64 MB is a CapacityError before anything is allocated', async () => {
    await expect(read(text('{}'), 2 ** 26 + 1)).rejects.toThrow(CapacityError);
    await expect(read(text('{}'), 2 ** 52)).rejects.toThrow(CapacityError);
  });
});

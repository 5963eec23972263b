import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GgufContent, GgufTensor } from '../../src/load/gguf_writer.ts';
import { LARGE_BYTES, largeGgufHead, largeSafetensors, sparseFile } from '../support/large_models.ts';
import { runCli } from './fake_io.ts';
import { createTempFolder, EMBEDDED, tinyContent, withPair, withTensor, writeGguf } from './model_files.ts';

/** Models that cannot be run: exit code 1, one line that names the thing, both values and the next step, no text. */

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: GgufContent;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await tinyContent();
});
afterAll(() => folder.remove());

async function generateFrom(model: string, ...flags: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli(['generate', '--model', model, '-n', '3', ...flags]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toMatch(/^error: [^\n]+\n$/);
  return stderr;
}

const put = (name: string, content: GgufContent) => folder.put(name, writeGguf(content));

describe('files that are not there, or not whole', () => {
  test('a missing file', async () => {
    const message = await generateFrom(join(folder.path, 'nothing.gguf'));
    expect(message).toContain('nothing.gguf');
    expect(message).toContain('no such file or folder; give a .gguf file');
  });

  test('a folder without config.json', async () => {
    await mkdir(join(folder.path, 'empty'));
    expect(await generateFrom(join(folder.path, 'empty'))).toContain('has no config.json');
  });

  test('a folder with a config and no weights', async () => {
    const path = join(folder.path, 'weightless');
    await mkdir(path);
    await writeFile(join(path, 'config.json'), '{"model_type":"llama"}');
    expect(await generateFrom(path)).toContain('has neither model.safetensors nor model.safetensors.index.json');
  });

  test('a truncated file names the byte', async () => {
    const bytes = await readFile(EMBEDDED);
    for (const length of [bytes.length - 1000, 20_000, 30, 3]) {
      const path = await folder.put(`truncated-${length}.gguf`, bytes.subarray(0, length));
      expect(await generateFrom(path)).toMatch(/\(at byte \d+\)\n$/);
    }
  });

  test('an empty file, and one of another format', async () => {
    expect(await generateFrom(await folder.put('empty.gguf', ''))).toContain('is empty, 0 bytes; fetch it again');
    expect(await generateFrom(await folder.put('text.txt', 'hello'))).toContain('safetensors file; give one of these');
    expect(await generateFrom(await folder.put('model.zip', 'PK\x03\x04 and more'))).toContain('a zip archive');
  });
});

describe('models that are too large', () => {
  test('a GGUF file beyond 4 GiB is refused with both numbers', async () => {
    const path = await sparseFile(join(folder.path, 'large.gguf'), largeGgufHead(), LARGE_BYTES);
    const message = await generateFrom(path);
    expect(message).toMatch(/the model needs \d{10} bytes of wasm memory \(\d{10} for weights, /);
    expect(message).toContain('the limit is 4294967296; use a smaller model or a smaller format');
    const { exitCode, stdout } = await runCli(['inspect', path, '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).model.memory.weightBytes).toBeGreaterThan(2 ** 32);
  });

  test('and so is a safetensors model', async () => {
    const path = join(folder.path, 'large');
    await mkdir(path);
    const { head, files } = largeSafetensors();
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
    await sparseFile(join(path, 'model.safetensors'), head.bytes, head.fileBytes);
    expect(await generateFrom(path)).toMatch(/the model needs \d{10} bytes of wasm memory .*the limit is 4294967296/);
  });
});

describe('models that are not complete', () => {
  test('an unknown architecture, by name', async () => {
    const path = await put('mamba.gguf', withPair(tiny, 'general.architecture', 'string', 'mamba'));
    expect(await generateFrom(path)).toContain('architecture is "mamba"; known are llama');
  });

  test('a missing tensor, by name and shape', async () => {
    const path = await put(
      'missing.gguf',
      withTensor(tiny, 'blk.0.ffn_up.weight', () => null),
    );
    expect(await generateFrom(path)).toContain('tensor blk.0.ffn_up.weight [64, 32] is missing');
  });

  test('a tensor of the wrong shape, with both', async () => {
    const path = await put(
      'shape.gguf',
      withTensor(tiny, 'output_norm.weight', (t) => ({ ...t, shape: [16], bytes: t.bytes.subarray(0, 64) })),
    );
    expect(await generateFrom(path)).toContain('tensor output_norm.weight is [16], the config asks for [32]');
  });

  test('a size that is missing or absurd', async () => {
    const absurd = await put('absurd.gguf', withPair(tiny, 'llama.attention.head_count', 'u32', 0));
    expect(await generateFrom(absurd)).toContain('nHeads is 0');
    const without = { ...tiny, metadata: tiny.metadata.filter(([key]) => key !== 'llama.block_count') };
    expect(await generateFrom(await put('no-layers.gguf', without))).toContain('"llama.block_count" is missing');
  });
});

test('a prompt longer than the context, with both counts', async () => {
  const path = await put('short.gguf', tiny);
  const ids = Array.from({ length: 97 }, () => 300).join(',');
  const message = await generateFrom(path, '--ids', ids);
  expect(message).toContain('the prompt has 97 tokens, the context has room for maxSeq=96; shorten it');
  const smaller = await generateFrom(path, '--max-seq', '8', '--ids', '0,1,2,3,4,5,6,7,8');
  expect(smaller).toContain('9 tokens, the context has room for maxSeq=8; raise --max-seq (at most 96) or shorten it');
});

test('a token id that the vocabulary does not have', async () => {
  expect(await generateFrom(await put('ids.gguf', tiny), '--ids', '0,1024')).toContain('1024');
});

describe('NaN in the weights: the first tensor is named, and nothing is sampled', () => {
  /** Sets one block's scale, or one f32, to NaN. */
  const poisoned = (name: string, at: number, bytes: number[]): GgufContent =>
    withTensor(tiny, name, (tensor: GgufTensor) => {
      const copy = tensor.bytes.slice();
      copy.set(bytes, at);
      return { ...tensor, bytes: copy };
    });
  const F16_NAN = [0x00, 0x7e];
  const F32_NAN = [0x00, 0x00, 0xc0, 0x7f];

  test.each(['wasm', 'naive', 'naive64'])('in %s', async (executor) => {
    const inMatrix = await put('nan-matrix.gguf', poisoned('blk.0.ffn_gate.weight', 34 * 5, F16_NAN));
    expect(await generateFrom(inMatrix, '--executor', executor)).toContain(
      'tensor blk.0.ffn_gate.weight: element 160 is NaN',
    );
    const inNorm = await put('nan-norm.gguf', poisoned('output_norm.weight', 4 * 7, F32_NAN));
    expect(await generateFrom(inNorm, '--executor', executor)).toContain('tensor output_norm.weight: element 7 is NaN');
  });

  test('also for logits, of which nothing is printed or written', async () => {
    const model = await put('nan-logits.gguf', poisoned('blk.0.attn_v.weight', 0, F16_NAN));
    const out = join(folder.path, 'nan.safetensors');
    const { exitCode, stdout, stderr } = await runCli(['logits', '--model', model, '--ids', '0,5', '--out', out]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('tensor blk.0.attn_v.weight: element 0 is NaN');
    await expect(readFile(out)).rejects.toThrow('ENOENT');
  });
});

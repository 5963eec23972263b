import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unpackTensor } from '../../src/cli/unpack_tensor.ts';
import { DTYPES } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { PASSES } from '../../src/graph/passes/index.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { GgufContent } from '../../src/load/gguf_writer.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, EMBEDDED, tinyContent, withPair, withTensor, writeGguf } from './model_files.ts';

interface Json {
  name: string;
  format: string;
  sizeBytes: number;
  metadata: Record<string, unknown>;
  tensors: { name: string; type: string; shape: number[]; nBytes: number }[];
  types: { type: string; nTensors: number; nBytes: number }[];
  model: { architecture: string; config: object; memory: Record<string, number> } | null;
  missing: string | null;
}

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: GgufContent;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await tinyContent();
});
afterAll(() => folder.remove());

describe('a model', () => {
  test('--json tells metadata, tensors, sizes by type, config and memory', async () => {
    const json = await runJson<Json>(['inspect']);
    expect(Object.keys(json)).toEqual([
      'name',
      'format',
      'sizeBytes',
      'metadata',
      'tensors',
      'types',
      'model',
      'missing',
    ]);
    expect(json).toMatchObject({ format: 'gguf', sizeBytes: readFileSync(EMBEDDED).length, missing: null });
    expect(json.metadata).toMatchObject({ 'general.architecture': 'llama', 'llama.block_count': 4 });
    expect(json.metadata['tokenizer.ggml.tokens']).toMatchObject({ arrayOf: 'string', length: 1024 });
    expect(json.tensors[0]).toEqual({ name: 'token_embd.weight', type: 'q8_0', shape: [1024, 256], nBytes: 278_528 });
    const total = (items: { nBytes: number }[]): number => items.reduce((n, item) => n + item.nBytes, 0);
    expect(total(json.types)).toBe(total(json.tensors));
    expect(json.types.reduce((n, type) => n + type.nTensors, 0)).toBe(json.tensors.length);
    expect(json.model).toMatchObject({ architecture: 'llama', config: { dim: 256, nLayers: 4, vocab: 1024 } });
    // 512 positions x 4 layers x 4 kv heads x 32, keys and values, 4 bytes
    expect(json.model!.memory).toMatchObject({ weightBytes: total(json.tensors), cacheBytes: 2_097_152, maxSeq: 512 });
    expect(json.model!.memory['scratchBytes']).toBeGreaterThan(0);
  });

  test('--max-seq changes the memory, and no more than the model has', async () => {
    const { model } = await runJson<Json>(['inspect', '--max-seq', '128']);
    expect(model!.memory).toMatchObject({ cacheBytes: 524_288, maxSeq: 128 });
    const { exitCode, stderr } = await runCli(['inspect', '--max-seq', '9999']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('max-seq is 9999, the model was made for 512');
  });

  test('for people: the same, one line for each pair and tensor', async () => {
    const { exitCode, stdout } = await runCli(['inspect', EMBEDDED]);
    expect(exitCode).toBe(0);
    for (const text of [
      'general.architecture',
      'token_embd.weight',
      '[1024, 256]',
      'q8_0',
      'memory',
      '512 positions',
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout.split('\n').every((line) => line.length < 250)).toBe(true);
  });
});

describe('what is no model says the first reason, and is shown all the same', () => {
  const missingOf = async (content: GgufContent): Promise<string> => {
    const path = await folder.put('no-model.gguf', writeGguf(content));
    const json = await runJson<Json>(['inspect', path]);
    expect(json.model).toBeNull();
    expect(json.tensors).toHaveLength(content.tensors.length);
    expect(Object.keys(json.metadata)).toHaveLength(content.metadata.length);
    const people = await runCli(['inspect', path]);
    expect(people.exitCode).toBe(0);
    expect(people.stdout).toContain('not a decoder that can be run');
    return json.missing!;
  };

  test('GGUF files', async () => {
    expect(await missingOf({ metadata: [], tensors: [] })).toContain('has no general.architecture');
    expect(await missingOf(withPair(tiny, 'general.architecture', 'string', 'mamba'))).toContain('"mamba"');
    expect(await missingOf(withTensor(tiny, 'output_norm.weight', () => null))).toContain('output_norm.weight');
    const noTokens = { ...tiny, metadata: tiny.metadata.filter(([key]) => !key.startsWith('tokenizer.')) };
    expect(await missingOf(noTokens)).toContain('tokenizer.ggml.');
  });

  test('a safetensors file, and a folder with an unknown model_type', async () => {
    const bytes = writeSafetensors([{ name: 'x', shape: [2], dtype: 'F32', data: Float32Array.of(1, 2) }], {
      made: 'here',
    });
    const single = await runJson<Json>(['inspect', await folder.put('x.safetensors', bytes)]);
    expect(single).toMatchObject({ format: 'safetensors', metadata: { made: 'here' }, model: null });
    expect(single.missing).toContain('config.json');

    const path = join(folder.path, 'mamba');
    await mkdir(path);
    await writeFile(join(path, 'model.safetensors'), bytes);
    await writeFile(join(path, 'config.json'), '{"model_type": "mamba", "sizes": {"deep": [1, 2]}}');
    const json = await runJson<Json>(['inspect', path]);
    expect(json).toMatchObject({ format: 'folder', metadata: { model_type: 'mamba' }, model: null });
    expect(json.missing).toContain('mamba');
    expect((await runCli(['inspect', path])).stdout).toContain('{"deep":[1,2]}');
  });

  test('has no graph', async () => {
    const path = await folder.put('graphless.gguf', writeGguf({ metadata: [], tensors: [] }));
    const { exitCode, stderr } = await runCli(['inspect', path, '--graph']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('has no graph');
  });

  test('a folder without config.json is refused', async () => {
    const path = join(folder.path, 'nothing');
    await mkdir(path);
    expect((await runCli(['inspect', path])).exitCode).toBe(1);
  });
});

test('names and strings of a file cannot drive the terminal', async () => {
  const evil = '\x1b]0;owned\x07\r\n\u202e\u0085';
  const content: GgufContent = {
    metadata: [
      ['general.name\x1b', 'string', evil],
      ['list', 'array', { arrayOf: 'string', values: [evil, Uint8Array.of(0x1b, 0xff)] }],
      ['not text', 'string', Uint8Array.of(0xff, 0x1b)],
      ['big', 'u64', 2n ** 60n],
      ['nan', 'f32', NaN],
    ],
    tensors: [{ name: evil, type: 'f32', shape: [1], bytes: new Uint8Array(4) }],
  };
  const path = await folder.put('evil.gguf', writeGguf(content));
  for (const flags of [[], ['--json']]) {
    const { exitCode, stdout } = await runCli(['inspect', path, ...flags]);
    expect(exitCode).toBe(0);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  }
  const json = await runJson<Json>(['inspect', path]);
  expect(json.tensors[0]!.name).toBe(evil);
  expect(json.metadata).toMatchObject({
    'general.name\x1b': evil,
    big: String(2n ** 60n),
    nan: 'NaN',
    'not text': '0xff1b',
  });
});

describe('graph and passes', () => {
  test('--passes --json counts the ops around each pass', async () => {
    const { passes } = await runJson<{ passes: Record<string, unknown>[] }>(['inspect', '--passes']);
    expect(passes.map(({ name, numerics }) => ({ name, numerics }))).toEqual(
      PASSES.map(({ name, numerics }) => ({ name, numerics })),
    );
    const fired = passes.filter((pass) => pass['fired'] === true).map((pass) => pass['name']);
    expect(fired).toEqual(expect.arrayContaining(['merge_qkv', 'merge_gate_up', 'last_row_only', 'drop_dead']));
    expect(fired).not.toContain('share_common');
    for (const pass of passes) {
      expect(Object.keys(pass)).toEqual([
        ...['name', 'numerics', 'fired', 'opsBefore', 'opsAfter', 'bytesBefore', 'bytesAfter'],
      ]);
    }
    const merge = passes.find((pass) => pass['name'] === 'merge_qkv') as {
      opsBefore: Record<string, number>;
      opsAfter: Record<string, number>;
    };
    expect([merge.opsBefore['linear'], merge.opsAfter['linear']]).toEqual([29, 21]);
    for (let i = 1; i < passes.length; i++) {
      expect(passes[i]!['opsBefore']).toEqual(passes[i - 1]!['opsAfter']);
      expect(passes[i]!['bytesBefore']).toBe(passes[i - 1]!['bytesAfter']);
    }
    expect(passes.at(-1)!['bytesAfter']).toBeLessThan(passes[0]!['bytesBefore'] as number);
  });

  test('a pass that is left out is not there; one that finds nothing says so', async () => {
    const { passes } = await runJson<{ passes: { name: string; fired: boolean }[] }>([
      ...['inspect', '--passes', '--disable-pass', 'merge_qkv', '--disable-pass', 'last_row_only'],
    ]);
    const left = PASSES.map((pass) => pass.name).filter((name) => name !== 'merge_qkv' && name !== 'last_row_only');
    expect(passes.map((pass) => pass.name)).toEqual(left);
    const people = await runCli(['inspect', '--passes', '--disable-pass', 'last_row_only']);
    expect(people.stdout).toContain('share_common (exact): found nothing to change');
    expect(people.stdout).toMatch(/linear +29 +-> 21/);
  });

  test('--approximate runs a pass that is not there unless it is named, and says of what class it is', async () => {
    const { stdout } = await runCli(['inspect', '--passes', '--approximate', 'cheap_silu']);
    expect(stdout).toMatch(/^cheap_silu \(bounded\)$/m);
    expect(stdout).toMatch(/silu_fast +0 +-> 5/);
    expect((await runCli(['inspect', '--passes'])).stdout).not.toContain('cheap_silu');
    const refused = await runCli(['inspect', '--passes', '--approximate', 'merge_qkv']);
    expect(refused.stderr).toContain('no approximate pass "merge_qkv"');
  });

  test('--graph prints both graphs', async () => {
    const { graph } = await runJson<{ graph: { before: string; after: string } }>(['inspect', '--graph']);
    expect(graph.before).toContain('"blk.0.attn_q"');
    expect(graph.before).not.toContain('concat_weights');
    expect(graph.after).toContain('concat_weights');
    const { stdout } = await runCli(['inspect', '--graph', '--passes']);
    expect(stdout.startsWith(`before the passes\n${graph.before}`)).toBe(true);
    expect(stdout).toContain(graph.after);
    expect(stdout).toContain('merge_qkv (exact)');
    expect(stdout).toMatch(/^ {2}- blk\.0\.attn_q = linear\(/m);
    expect(stdout).toMatch(/scratch after planning.*\n +1 token /);
  });

  test('--only-passes runs those alone, in the order of the list', async () => {
    const flags = ['inspect', '--passes', '--only-passes', 'drop_dead, merge_qkv'];
    const { passes } = await runJson<{ passes: { name: string }[] }>(flags);
    expect(passes.map((pass) => pass.name)).toEqual(['merge_qkv', 'drop_dead']);
    expect((await runCli([...flags, '--only-passes', 'magic'])).stderr).toContain('only-passes is "magic"');
  });

  test('--save-graph writes what --load-graph runs, on any executor, with the same tokens', async () => {
    const file = join(folder.path, 'graph.json');
    const model = await folder.put('saved.gguf', writeGguf(await tinyContent()));
    expect((await runCli(['inspect', model, '--save-graph', file])).exitCode).toBe(0);
    const { graph } = await runJson<{ graph: { after: string } }>(['inspect', model, '--graph', '--load-graph', file]);
    expect(graph.after).toContain('kernel=');
    const ids = ['generate', '--model', model, '--ids', '1,2', '--temperature', '0', '--max-tokens', '4'];
    const plain = await runJson<{ ids: number[] }>(ids);
    for (const executor of ['wasm', 'naive']) {
      const loaded = await runJson<{ ids: number[] }>([...ids, '--executor', executor, '--load-graph', file]);
      expect(loaded.ids).toEqual(plain.ids);
    }
    const refused = async (...flags: string[]) => (await runCli([...ids, '--load-graph', file, ...flags])).stderr;
    expect(await refused('--model', 'embedded')).toMatch(/of another model/);
    expect(await refused('--activations', 'f32')).toMatch(/load it with --activations q8/);
    expect(await refused('--disable-pass', 'merge_qkv')).toMatch(/runs a graph as it is/);
    expect(await refused('--load-graph', model)).toMatch(/is not JSON|at byte/);
  });

  test('--sums f64 is seen in the graph and in the memory, and its saved graph is one to be loaded', async () => {
    const file = join(folder.path, 'wide.json');
    const wide = ['--activations', 'f32', '--sums', 'f64'];
    const { graph } = await runJson<{ graph: { before: string; after: string } }>(['inspect', '--graph', ...wide]);
    for (const text of [graph.before, graph.after]) {
      const sums = text.split('\n').filter((line) => / = (linear|attend_scores)\b/.test(line));
      expect(sums.length).toBeGreaterThan(0);
      expect(sums.filter((line) => !line.includes('sums=f64'))).toEqual([]);
    }
    expect((await runCli(['inspect', '--save-graph', file, ...wide])).exitCode).toBe(0);
    const ids = ['generate', '--ids', '1,2', '--temperature', '0', '--max-tokens', '4', ...wide];
    const loaded = await runJson<{ ids: number[] }>([...ids, '--load-graph', file]);
    expect(loaded.ids).toEqual((await runJson<{ ids: number[] }>(ids)).ids);
    const scratch = async (...flags: string[]): Promise<number | undefined> =>
      (await runJson<Json>(['inspect', ...flags])).model!.memory.scratchBytes;
    expect(await scratch(...wide)).not.toBe(await scratch('--activations', 'f32'));
  });

  test('--format draws the graph, to a file where --out names one', async () => {
    expect((await runCli(['inspect', '--graph', '--format', 'mermaid'])).stdout).toMatch(/^flowchart TD\n/);
    const file = join(folder.path, 'graph.svg');
    const { exitCode, stdout } = await runCli(['inspect', '--graph', '--format', 'svg', '--out', file]);
    expect([exitCode, stdout]).toEqual([0, '']);
    expect(await readFile(file, 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
    expect((await runCli(['inspect', '--format', 'svg'])).exitCode).toBe(2);
    expect((await runCli(['inspect', '--out', file])).exitCode).toBe(2);
  });
});

const embeddedInfos = async () =>
  (await openGguf(bufferSource('embedded', new Uint8Array(await readFile(EMBEDDED))))).tensors;

describe('--tensor', () => {
  test.each(['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const)('unpacks %s to f32', async (dtype) => {
    const { blockSize, blockBytes } = DTYPES[dtype];
    const shape = [3, 64];
    const nBytes = (3 * 64 * blockBytes) / blockSize;
    const values = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i) * 3);
    const bytes = new Uint8Array(nBytes);
    FORMATS[dtype].pack(values, 0, 192, bytes, 0);
    const path = await folder.put(
      't.gguf',
      writeGguf({ metadata: [], tensors: [{ name: 't', type: dtype, shape, bytes }] }),
    );
    const out = join(folder.path, 't.safetensors');
    const json = await runJson(['inspect', path, '--tensor', 't', '--out', out]);
    expect(json).toEqual({ name: 't', type: dtype, shape, out });

    const file = await openSafetensors(bufferSource(out, new Uint8Array(await readFile(out))));
    const info = file.tensors.get('t')!;
    expect(info).toMatchObject({ type: 'f32', shape });
    const unpacked = new Uint8Array(info.nBytes);
    await info.source.read(info.offset, unpacked);
    const expected = new Float32Array(192);
    FORMATS[dtype].unpack(bytes, 0, expected, 0, 192);
    expect(Array.from(new Float32Array(unpacked.buffer))).toEqual(Array.from(expected));
  });

  test('in every format of ggml, also those that no kernel computes with; integers are refused', async () => {
    const { blockBytes, unpack } = FORMATS.iq3_xxs;
    const bytes = Uint8Array.from({ length: 2 * blockBytes }, (_, i) => (i * 37) & 0x3f);
    const info = {
      name: 't',
      type: 'iq3_xxs',
      shape: [2, 256],
      source: bufferSource('t', bytes),
      offset: 0,
      nBytes: bytes.length,
    };
    const expected = new Float32Array(512);
    unpack(bytes, 0, expected, 0, 512);
    expect(Array.from(await unpackTensor(info, {}))).toEqual(Array.from(expected));
    await expect(unpackTensor({ ...info, type: 'i64' }, {})).rejects.toThrow(/tensor t: is i64, which f32 cannot hold/);
  });

  test('in pieces of any size', async () => {
    const info = (await embeddedInfos()).get('blk.0.ffn_down.weight')!;
    const whole = await unpackTensor(info, {});
    expect(whole).toHaveLength(256 * 768);
    for (const chunkBytes of [1, 5000, 100_000]) {
      expect(firstBitDifference(await unpackTensor(info, { chunkBytes }), whole)).toBe(-1);
    }
  });

  test('scalars and empty tensors have files too', async () => {
    const tensors = [
      { name: 'scalar', type: 'f32', shape: [], bytes: new Uint8Array(Float32Array.of(7).buffer) },
      { name: 'none', type: 'f32', shape: [0, 4], bytes: new Uint8Array(0) },
    ];
    const path = await folder.put('odd.gguf', writeGguf({ metadata: [], tensors }));
    for (const { name, shape } of tensors) {
      const out = join(folder.path, `${name}.safetensors`);
      expect(await runJson(['inspect', path, '--tensor', name, '--out', out])).toMatchObject({ name, shape });
    }
  });

  test('a name that is not there, and a type that cannot be unpacked', async () => {
    const out = join(folder.path, 'never.safetensors');
    const slip = await runCli(['inspect', '--tensor', 'blk.0.atn_q.weight', '--out', out]);
    expect(slip.exitCode).toBe(1);
    expect(slip.stderr).toContain('has no tensor "blk.0.atn_q.weight", did you mean "blk.0.attn_q.weight"?');
    const unlike = await runCli(['inspect', '--tensor', 'nonsense', '--out', out]);
    expect(unlike.stderr).toContain('inspect without --tensor lists them');
    const tensors = [{ name: 'i', type: 'i32', shape: [1], bytes: new Uint8Array(4) }];
    const path = await folder.put('i32.gguf', writeGguf({ metadata: [], tensors }));
    const other = await runCli(['inspect', path, '--tensor', 'i', '--out', out]);
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toContain('tensor i: is i32');
    expect(readdirSync(folder.path).filter((name) => name.startsWith('never'))).toEqual([]);
  });
});

describe.each(['gguf-bad', 'safetensors-bad'])('%s', (name) => {
  describeWithFixture(name, 'every file', () => {
    const files = readdirSync(fixture(name)).filter((file) => /\.(gguf|safetensors)$/.test(file));

    test('that is well formed is shown, every other one is refused in one line', async () => {
      expect(files.length).toBeGreaterThan(20);
      for (const file of files) {
        const { exitCode, stdout, stderr } = await runCli(['inspect', fixture(name, file), '--json']);
        expect([file, exitCode]).toEqual([file, file.startsWith('ok-') ? 0 : 1]);
        if (exitCode === 0) expect((JSON.parse(stdout) as Json).missing).not.toBe('');
        else expect(stderr).toMatch(/^error: [^\n]+\n$/);
      }
    });
  });
});

describeWithFixture('vit-cifar10', 'folders of other models', () => {
  test('are shown with the reason why they cannot be run', async () => {
    const json = await runJson<Json>(['inspect', fixture('vit-cifar10')]);
    expect(json.model).toBeNull();
    expect(json.missing).toContain('vit');
    expect(json.tensors.length).toBeGreaterThan(10);
  });
});

describeWithFixture('stories260k', 'a Hugging Face folder', () => {
  test('is a model', async () => {
    const json = await runJson<Json>(['inspect', fixture('stories260k')]);
    expect(json).toMatchObject({ format: 'folder', missing: null, model: { architecture: 'llama' } });
    expect(json.tensors.some(({ name }) => name === 'model.embed_tokens.weight')).toBe(true);
  });
});

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadEmbedder, loadReranker } from '../../src/index.node.ts';
import { encoderFile, goldenFolder, readGolden } from '../support/encoder_cases.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder } from './model_files.ts';

const BERT = goldenFolder('bert');
const RERANKER = goldenFolder('bert_reranker');

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
});
afterAll(() => folder.remove());

interface Embedded {
  readonly text: string;
  readonly vector: readonly number[];
}

describe('embed', () => {
  const texts = readGolden('bert').texts.map(({ text }) => text);

  test('prints the start of each vector and the cosines', async () => {
    const { exitCode, stdout, stderr } = await runCli(['embed', '--model', BERT, 'a cat', 'the dog ran']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\[-?\d\.\d{4}(, -?\d\.\d{4}){3}, \.\.\.\] \(16\) {2}a cat$/);
    expect(lines.slice(2, 4)).toEqual(['', 'cosine']);
    expect(lines.slice(4)).toHaveLength(3);
    expect(lines[5]).toMatch(/^1 +1\.0000 +-?0\.\d{4}$/);
  });

  test('--json has what the library gives, in f32 and in float64', async () => {
    for (const executor of ['wasm', 'naive64'] as const) {
      const answers = await runJson<Embedded[]>(['embed', '--model', BERT, '--executor', executor, '--json', ...texts]);
      await using model = await loadEmbedder(BERT, { executor });
      const vectors = await model.embed(texts);
      expect(answers).toEqual(texts.map((text, i) => ({ text, vector: [...vectors[i]!] })));
    }
  });

  test('texts come from a file too, a line each, or as JSON', async () => {
    const words = await runJson<Embedded[]>(['embed', '--model', BERT, '--json', ...texts]);
    const plain = await folder.put('texts.txt', `\ufeff${texts.join('\r\n\n')}`);
    const lines = texts.map((text, i) => JSON.stringify(i % 2 === 0 ? { text, id: i } : text));
    const json = await folder.put('texts.jsonl', lines.join('\n'));
    for (const file of [plain, json]) {
      expect(await runJson(['embed', '--model', BERT, '--json', '--file', file])).toEqual(words);
    }
  });

  test('--pooling and --no-normalize', async () => {
    const [golden] = readGolden('bert').texts;
    const run = async (...flags: string[]): Promise<readonly number[]> =>
      (
        await runJson<Embedded[]>(['embed', '--model', BERT, '--executor', 'naive64', '--json', ...flags, golden!.text])
      )[0]!.vector;
    const length = (v: readonly number[]): number => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    const raw = await run('--no-normalize');
    const unit = await run();
    // Quotients by one length, which is off by a few units of 2^-53 itself.
    expect(Math.abs(length(unit) - 1)).toBeLessThanOrEqual(20 * 2 ** -53);
    expect(length(raw)).toBeGreaterThan(1);
    expect(await run('--pooling', 'cls')).not.toEqual(unit);
    expect(await run('--pooling', 'mean')).toEqual(unit);
  });

  test('shows how far it is on a terminal, in texts', async () => {
    let time = 0;
    const now = (): number => {
      time += 600; // a look at the clock
      return time;
    };
    const many = Array<string>(9).fill('a cat sat');
    const { stderr } = await runCli(['embed', '--model', BERT, '--max-seq', '16', ...many], {
      isStderrTerminal: true,
      now,
    });
    expect(stderr).toMatch(/embedding \[#*\.*\] +\d+% {2}\d texts of 9 texts, \d+ texts\/s/);
    expect(stderr.endsWith('\r\x1b[K')).toBe(true);
  });
});

describe('rerank', () => {
  interface Answer {
    readonly index: number;
    readonly score: number;
    readonly text: string;
  }
  const documents = ['on a mat', 'the dog ran', 'rain'];

  test('prints documents by falling score', async () => {
    const { exitCode, stdout } = await runCli(['rerank', '--model', RERANKER, 'a cat', ...documents]);
    expect(exitCode).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    const scores = lines.map((line) => Number.parseFloat(line));
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(lines.map((line) => line.replace(/^\s*\S+\s+\d+\s+/, '')).sort()).toEqual([...documents].sort());
  });

  test('--json has what the library gives; --top lists fewer; a file', async () => {
    const all = await runJson<Answer[]>(['rerank', '--model', RERANKER, '--json', 'a cat', ...documents]);
    await using model = await loadReranker(RERANKER);
    const ranked = await model.rank('a cat', documents);
    expect(all).toEqual(ranked.map(({ index, score }) => ({ index, score, text: documents[index] })));
    const file = await folder.put('documents.txt', documents.join('\n'));
    const top = await runJson<Answer[]>([
      'rerank',
      '--model',
      RERANKER,
      '--json',
      '--top',
      '2',
      '--file',
      file,
      'a cat',
    ]);
    expect(top).toEqual(all.slice(0, 2));
  });
});

describe('what is refused', () => {
  test.each([
    ['no texts', ['embed', '--model', BERT], /give texts as arguments, or --file/],
    ['both', ['embed', '--model', BERT, 'a', '--file', 'x'], /give texts as arguments, or --file/],
    ['no model', ['embed', 'a'], /there is no encoder in the package; give one with --model/],
    ['another pooling', ['embed', '--model', BERT, '--pooling', 'max', 'a'], /pooling.*mean, cls, last/s],
    ['no query', ['rerank', '--model', RERANKER], /missing required argument 'query'/],
  ])('%s: wrong usage', async (_what, argv, message) => {
    const { exitCode, stderr, stdout } = await runCli(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test.each([
    ['an empty text', ['embed', '--model', BERT, 'a', ' '], /text 2 is empty/],
    [
      'a long text',
      ['embed', '--model', BERT, 'a', 'b '.repeat(23)],
      /text 2 has 25 tokens, the model takes 24; shorten it/,
    ],
    [
      'a text longer than was asked for',
      ['embed', '--model', BERT, '--max-seq', '8', 'b '.repeat(9)],
      /has 11 tokens, the model takes 8; raise max-seq \(at most 24\)/,
    ],
    [
      'a long pair',
      ['rerank', '--model', RERANKER, 'a', 'b', 'b '.repeat(21)],
      /query with document 2 has 25 tokens, the model takes 24/,
    ],
    ['an empty document', ['rerank', '--model', RERANKER, 'a', ''], /document 1 is empty/],
    [
      'a decoder',
      ['embed', '--model', 'src/embedded/lm/model.gguf', 'a'],
      /architecture is "llama", which is not an encoder that is known .*; give one of these, or use "generate"/,
    ],
    [
      'a decoder as a reranker',
      ['rerank', '--model', 'src/embedded/lm/model.gguf', 'a', 'b'],
      /architecture is "llama", .*; give one of these, or use "generate"/,
    ],
    ['a model without a head', ['rerank', '--model', BERT, 'a', 'b'], /no classification head.*"embed"/],
    ['no pooling', ['embed', '--model', RERANKER, 'a'], /do not say how rows become a vector; name a pooling/],
    ['an encoder elsewhere', ['generate', '--model', BERT, 'a'], /"bert", an encoder, .* use "embed"/],
  ])('%s', async (_what, argv, message) => {
    const { exitCode, stderr, stdout } = await runCli(argv);
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('lines of a file by their number', async () => {
    for (const [line, message] of [
      ['{"text": 7}', /line 2: has no text/],
      ['{"text": " "}', /line 2: has no text/],
      ['{', /line 2: is not JSON/],
      ['7', /line 2: has no text/],
    ] as const) {
      const file = await folder.put('wrong.jsonl', `"a"\n${line}\n`);
      const { exitCode, stderr } = await runCli(['embed', '--model', BERT, '--file', file]);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(message);
    }
    const empty = await folder.put('empty.txt', '\n \n');
    expect((await runCli(['embed', '--model', BERT, '--file', empty])).stderr).toMatch(
      /has no texts; write one a line/,
    );
  });

  /** A copy of the golden folder with one file's fields changed. */
  const variant = (name: string, file: string, change: (json: object) => unknown, original = 'bert'): string => {
    const path = join(folder.path, name);
    cpSync(goldenFolder(original), path, { recursive: true });
    const changed = change(JSON.parse(readFileSync(join(path, file), 'utf8')) as object);
    writeFileSync(join(path, file), JSON.stringify(changed));
    return path;
  };
  const config = (fields: object) => (json: object) => ({ ...json, ...fields });

  test.each([
    ['relu', 'config.json', config({ hidden_act: 'relu' }), /hidden_act is "relu"; bert is run with gelu/],
    [
      'relative',
      'config.json',
      config({ position_embedding_type: 'relative_key' }),
      /position_embedding_type is "relative_key"/,
    ],
    ['decoder', 'config.json', config({ is_decoder: true }), /is_decoder is true/],
    ['heads', 'config.json', config({ num_attention_heads: 3 }), /headDim is 5\.3/],
    ['layers', 'config.json', config({ num_hidden_layers: 4 }), /tensor blk\.3\.attn_q\.weight .* is missing/],
    ['fewer', 'config.json', config({ num_hidden_layers: 2 }), /tensor blk\.2\..* has no place/],
    [
      'positions',
      'config.json',
      config({ max_position_embeddings: 25 }),
      /position_embd\.weight is \[24, 16\], the config asks for \[25, 16\]/,
    ],
    [
      'type',
      'config.json',
      config({ model_type: 'albert' }),
      /model_type is "albert", which is not an encoder that is known/,
    ],
    ['eps', 'config.json', config({ layer_norm_eps: 2 }), /normEps is 2/],
    [
      'max',
      '1_Pooling/config.json',
      config({ pooling_mode_max_tokens: true }),
      /pooling is .*pooling_mode_max_tokens.* one at a time/,
    ],
    ['none', '1_Pooling/config.json', () => ({}), /pooling is none/],
    [
      'dense',
      'modules.json',
      (list: object) => [...(list as object[]), { type: 'sentence_transformers.models.Dense' }],
      /module sentence_transformers\.models\.Dense cannot be run/,
    ],
    ['path', 'modules.json', () => [{ type: 'x.Pooling', path: '../other' }], /"\.\.\/other" is not a plain file name/],
    ['object', 'modules.json', () => ({}), /holds no list of modules/],
  ] as const)('a folder that is not what it should be: %s', async (name, file, change, message) => {
    const { exitCode, stderr } = await runCli(['embed', '--model', variant(name, file, change), 'a']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(message);
  });

  test.each([
    ['nomic_bert', { activation_function: 'gelu' }, /activation_function is "gelu"; nomic_bert is run with "swiglu"/],
    ['nomic_bert', { prenorm: true }, /prenorm is true; nomic_bert is run with false/],
    ['nomic_bert', { rotary_emb_fraction: 0.5 }, /rotary_emb_fraction is 0\.5/],
    ['nomic_bert', { rotary_scaling_factor: 2 }, /rotary_scaling_factor is 2; nomic_bert is run with null/],
    ['nomic_bert', { rotary_emb_base: -1 }, /ropeBase is -1/],
    ['nomic_bert', { max_trained_positions: 2 }, /has 3 tokens, the model takes 2/],
    ['modernbert', { hidden_activation: 'silu' }, /hidden_activation is "silu"; modernbert is run with gelu/],
    ['modernbert', { norm_bias: true }, /norm_bias is true/],
    ['modernbert', { global_attn_every_n_layers: 0 }, /globalEvery is 0/],
    ['modernbert', { local_attention: -2 }, /window is 0/],
    ['modernbert', { layer_types: ['full_attention', 'full_attention'] }, /layer_types\[1\] is "full_attention"/],
    ['modernbert', { rope_parameters: { full_attention: { rope_type: 'yarn' } } }, /rope_type is "yarn"/],
    ['distilbert', { activation: 'relu' }, /activation is "relu"; distilbert is run with gelu/],
    ['roberta', { pad_token_id: null }, /pad_token_id is missing/],
    ['roberta', { pad_token_id: 30 }, /maxContext is -5/],
  ] as const)('%s with %o', async (original, fields, message) => {
    const name = `${original} ${JSON.stringify(fields).replaceAll(/\W/g, '')}`;
    const { exitCode, stderr } = await runCli([
      'embed',
      '--model',
      variant(name, 'config.json', config(fields), original),
      'a',
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(message);
  });

  test('angles of ModernBERT in the words of transformers 5 are the same', async () => {
    const rope_parameters = {
      full_attention: { rope_theta: 1600 },
      sliding_attention: { rope_theta: 100, rope_type: 'default' },
    };
    const path = variant(
      'transformers 5',
      'config.json',
      config({ rope_parameters, global_rope_theta: null }),
      'modernbert',
    );
    const text = 'a cat sat on a mat';
    const of = (model: string) => runJson<Embedded[]>(['embed', '--model', model, '--json', text]);
    expect(await of(path)).toEqual(await of(goldenFolder('modernbert')));
  });

  test('a GGUF file without a head embeds, and does not rank', async () => {
    const gguf = await folder.put('bert.gguf', encoderFile({ architecture: 'bert' }));
    expect((await runCli(['embed', '--model', gguf, 'a'])).exitCode).toBe(0);
    expect((await runCli(['rerank', '--model', gguf, 'a', 'b'])).stderr).toMatch(/no classification head/);
  });

  test('a model that was disposed', async () => {
    const model = await loadEmbedder(BERT);
    await model.dispose();
    await expect(model.embed(['a'])).rejects.toThrow(/is disposed/);
    const reranker = await loadReranker(RERANKER);
    await reranker.dispose();
    await expect(reranker.rank('a', ['b'])).rejects.toThrow(/is disposed/);
  });

  test('a run that is stopped between two batches ends with its reason', async () => {
    await using model = await loadEmbedder(BERT);
    const stop = new AbortController();
    const reason = new Error('enough');
    const onProgress = (): void => stop.abort(reason);
    await expect(model.embed(Array(9).fill('a cat sat'), { signal: stop.signal, onProgress })).rejects.toThrow(reason);
    expect(await model.embed(['a'])).toHaveLength(1); // and nothing is left in the cache
  });
});

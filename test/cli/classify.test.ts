import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadClassifier, loadClip } from '../../src/index.node.ts';
import { QUICK_GELU_FOLDER } from '../support/clip_golden.ts';
import { ROOT } from '../support/fixtures.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder } from './model_files.ts';

interface Answer {
  readonly file: string;
  readonly probs: Readonly<Record<string, number>>;
  readonly sentence: string;
}

const CAT = join(ROOT, 'test/goldens/vision/cat.jpg');
const VIT = join(ROOT, 'src/embedded/vit');

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
});
afterAll(() => folder.remove());

describe('classify', () => {
  test('prints probabilities, the likeliest first, and one sentence', async () => {
    const { exitCode, stdout, stderr } = await runCli(['classify', CAT]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const [first, second, ...rest] = stdout.trimEnd().split('\n');
    const probs = Object.entries(JSON.parse(first!) as Record<string, number>);
    expect(probs.map(([label]) => label).slice(0, 2)).toEqual(['cat', 'dog']);
    for (let i = 1; i < probs.length; i++) expect(probs[i - 1]![1]).toBeGreaterThanOrEqual(probs[i]![1]);
    expect(second).toBe('This image is most likely a cat.');
    expect(rest).toEqual([]);
  });

  test('--json has every digit; what the library says', async () => {
    const [answer] = await runJson<Answer[]>(['classify', '--json', CAT]);
    await using model = await loadClassifier();
    const { probs, sentence } = await model.classify(readFileSync(CAT));
    expect(answer).toEqual({
      file: CAT,
      probs: Object.fromEntries(probs.map(({ label, prob }) => [label, prob])),
      sentence,
    });
    // Ten quotients, each off by 2^-53 of itself at most, and their sum.
    const sum = Object.values(answer!.probs).reduce((a, b) => a + b, 0);
    expect(Math.abs(sum - 1) <= 20 * 2 ** -53).toBe(true);
  });

  test('--top lists fewer, --labels lets fewer compete', async () => {
    const [top] = await runJson<Answer[]>(['classify', '--json', '--top', '2', CAT]);
    expect(Object.keys(top!.probs)).toEqual(['cat', 'dog']);
    const [pair] = await runJson<Answer[]>(['classify', '--json', '--labels', 'dog,cat', CAT]);
    const oddsOf = ({ probs }: Answer): number => probs['cat']! / probs['dog']!;
    expect(Math.abs(pair!.probs['cat']! + pair!.probs['dog']! - 1) <= 4 * 2 ** -53).toBe(true);
    // cat is the largest in both, so the exponentials are the same numbers: three quotients on each side, each off by 2^-53.
    expect(Math.abs(oddsOf(pair!) / oddsOf(top!) - 1) <= 8 * 2 ** -53).toBe(true);
    const { stdout } = await runCli(['classify', '--labels', 'airplane,frog', CAT]);
    expect(stdout).toContain('This image is most likely a frog.');
  });

  test('an article fits its word', async () => {
    const { stdout } = await runCli(['classify', '--labels', 'airplane', CAT]);
    expect(stdout).toBe('{"airplane": 1}\nThis image is most likely an airplane.\n');
  });

  test('of several files each line says which', async () => {
    const { stdout } = await runCli(['classify', '--top', '1', CAT, CAT]);
    const line = `${CAT}: This image is most likely a cat.`;
    expect(stdout.split('\n').filter((l) => l === line)).toHaveLength(2);
  });

  test('a file that is missing, damaged, huge or no picture is told, the others are classified', async () => {
    const at = (name: string) => join(folder.path, name);
    writeFileSync(at('text.png'), 'not a picture');
    writeFileSync(at('cut.jpg'), readFileSync(CAT).subarray(0, 3000));
    writeFileSync(at('huge.png'), '');
    truncateSync(at('huge.png'), 2 ** 29); // sparse
    writeFileSync(at('photo.webp'), 'RIFF\0\0\0\0WEBPVP8 ');
    const files = ['gone.jpg', 'text.png', 'cut.jpg', 'huge.png', 'photo.webp'].map(at);
    const { exitCode, stdout, stderr } = await runCli(['classify', '--json', ...files, CAT]);
    expect(exitCode).toBe(1);
    const answers = JSON.parse(stdout) as (Answer & { error?: string })[];
    expect(answers.map(({ file }) => file)).toEqual([...files, CAT]);
    expect(answers.slice(0, 5).map(({ error }) => error)).toEqual([
      expect.stringContaining('there is no such file'),
      expect.stringContaining('is not a picture'),
      expect.stringContaining('damaged or cut short'),
      expect.stringContaining('has 536870912 bytes'),
      expect.stringContaining('npm install sharp'),
    ]);
    expect(answers[5]!.sentence).toBe('This image is most likely a cat.');
    expect(stderr.match(/^error: /gm)).toHaveLength(5);
  });

  test('a folder is no picture', async () => {
    const { exitCode, stderr } = await runCli(['classify', folder.path]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `error: ${folder.path}: it is a folder; give the pictures in it\n`,
    });
  });

  test('wrong usage', async () => {
    for (const [argv, message] of [
      [[], /missing required argument 'image'/],
      [['--labels', 'cat,cow', CAT], /labels has "cow", which the model does not know; it knows airplane, /],
      [['--labels', 'cat,cat', CAT], /labels has "cat" twice/],
      [['--top', '0', CAT], /at least 1/],
    ] as const) {
      const { exitCode, stderr } = await runCli(['classify', ...argv]);
      expect({ argv, exitCode }).toEqual({ argv, exitCode: 2 });
      expect(stderr).toMatch(message);
    }
  });
});

describe('a CLIP', () => {
  const classifyClip = (...argv: string[]) => runCli(['classify', '--model', QUICK_GELU_FOLDER, ...argv]);

  test('answers with any labels; what the library says, as loadClip and as a folder of weights', async () => {
    await using clip = await loadClip(QUICK_GELU_FOLDER);
    const labels = ['a cat', 'a dog', 'the sea'];
    const { probs, sentence } = await clip.classify(readFileSync(CAT), { labels });
    for (const model of [QUICK_GELU_FOLDER, join(QUICK_GELU_FOLDER, 'model.safetensors')]) {
      // Blanks around a label are not its own.
      const argv = ['classify', '--json', '--model', model, '--labels', 'a cat, a dog,the sea', CAT];
      const [answer] = await runJson<Answer[]>(argv);
      expect(answer).toEqual({
        file: CAT,
        probs: Object.fromEntries(probs.map(({ label, prob }) => [label, prob])),
        sentence,
      });
    }
    const sum = probs.reduce((total, { prob }) => total + prob, 0);
    expect(Math.abs(sum - 1) <= 8 * 2 ** -53).toBe(true); // three quotients and their sum
  });

  test('--template is the text of a label; the default has "a photo of" and one article', async () => {
    const byTemplate = async (...argv: string[]) => (await classifyClip('--labels', 'cat,dog', ...argv, CAT)).stdout;
    const byDefault = await byTemplate();
    expect(await byTemplate('--template', 'a photo of a {}')).toBe(byDefault);
    expect(await byTemplate('--template', 'the sea in {}')).not.toBe(byDefault);
    const own = (await classifyClip('--labels', 'a cat,a dog', CAT)).stdout;
    expect(own.replace(/"a (cat|dog)"/g, '"$1"')).toBe(byDefault);
    expect(own).toMatch(/^This image is most likely a (cat|dog)\.$/m);
  });

  test('--top lists fewer', async () => {
    const { stdout } = await classifyClip('--labels', 'cat,dog,sea', '--top', '1', CAT);
    expect(Object.keys(JSON.parse(stdout.split('\n')[0]!))).toHaveLength(1);
  });

  test('wrong usage, before a picture is read', async () => {
    for (const [argv, message] of [
      [[], /a CLIP has no labels of its own/],
      [['--labels', ''], /labels has "" in it/],
      [['--labels', 'cat,,dog'], /labels has "" in it/],
      [['--labels', 'cat,cat'], /labels has "cat" twice/],
      [['--labels', 'cat', '--template', 'no place'], /expected one \{\} in it/],
    ] as const) {
      const { exitCode, stderr } = await classifyClip(...argv, 'gone.jpg');
      expect({ argv, exitCode }).toEqual({ argv, exitCode: 2 });
      expect(stderr).toMatch(message);
    }
    const { exitCode, stderr } = await runCli(['classify', '--labels', 'cat', '--template', 'a {}', CAT]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('--template is for a CLIP') });
  });

  test('a label that is too long is told of the picture that it was for; other models say what to use', async () => {
    const { exitCode, stderr } = await classifyClip('--labels', 'a '.repeat(60), CAT);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(/tokens, the model takes 40/) });
    await expect(loadClassifier(QUICK_GELU_FOLDER)).rejects.toThrow(/a clip with loadClip/);
    await expect(loadClip(VIT)).rejects.toThrow(/model_type is "vit"/);
    const clip = await loadClip(QUICK_GELU_FOLDER, { executor: 'naive' });
    await clip.dispose();
    expect(() => clip.textVectors(['cat'])).toThrow(/is disposed/);
    await expect(clip.imageVector(readFileSync(CAT))).rejects.toThrow(/is disposed/);
  });
});

describe('models', () => {
  /** The embedded folder with some files changed; undefined: left out. */
  function variant(name: string, change: Record<string, object | undefined>): string {
    const path = join(folder.path, name);
    mkdirSync(path);
    for (const file of ['config.json', 'preprocessor_config.json']) {
      if (!(file in change)) copyFileSync(join(VIT, file), join(path, file));
      else if (change[file] !== undefined) {
        const before = JSON.parse(readFileSync(join(VIT, file), 'utf8')) as object;
        writeFileSync(join(path, file), JSON.stringify({ ...before, ...change[file] }));
      }
    }
    copyFileSync(join(VIT, 'model.safetensors'), join(path, 'model.safetensors'));
    return path;
  }

  test('a folder, or the weights in it', async () => {
    for (const model of [VIT, join(VIT, 'model.safetensors')]) {
      const { stdout } = await runCli(['classify', '--model', model, CAT]);
      expect(stdout).toContain('This image is most likely a cat.');
    }
  });

  test('what cannot be run is refused before a picture is read', async () => {
    const cases: [model: string, message: RegExp][] = [
      [join(ROOT, 'src/embedded/lm/model.gguf'), /an image classifier is a Hugging Face folder/],
      [join(ROOT, 'src/embedded/lm'), /has no config.json/],
      [variant('no processor', { 'preprocessor_config.json': undefined }), /has no preprocessor_config.json/],
      [
        variant('other size', { 'preprocessor_config.json': { size: 64 } }),
        /makes pictures of 64 x 64, the model .* takes 32 x 32/,
      ],
      [
        variant('open size', { 'preprocessor_config.json': { size: { shortest_edge: 32 } } }),
        /makes pictures of no fixed size/,
      ],
      [variant('more layers', { 'config.json': { num_hidden_layers: 7 } }), /layer.6.* is missing/],
      [variant('fewer layers', { 'config.json': { num_hidden_layers: 5 } }), /layer.5.* has no place/],
      [variant('llama', { 'config.json': { model_type: 'llama' } }), /image classifiers are run with vit, deit/],
    ];
    for (const [model, message] of cases) {
      const { exitCode, stderr, stdout } = await runCli(['classify', '--model', model, 'gone.jpg']);
      expect({ model, exitCode, stdout }).toEqual({ model, exitCode: 1, stdout: '' });
      expect(stderr).toMatch(message);
    }
  });

  test('and the other commands say that they do not classify', async () => {
    const { exitCode, stderr } = await runCli(['generate', '--model', VIT, 'Once']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('an image classifier; use "classify"');
  });

  test('a disposed model says so; decoded pixels are taken as they are', async () => {
    const model = await loadClassifier('embedded', { executor: 'naive' });
    const image = { width: 32, height: 32, pixels: new Uint8Array(3 * 32 * 32) };
    const { probs } = await model.classify(image, { labels: ['cat', 'dog'] });
    // Two quotients, each off by 2^-53 of itself at most, and their sum.
    expect(Math.abs(probs.map(({ prob }) => prob).reduce((a, b) => a + b) - 1) <= 4 * 2 ** -53).toBe(true);
    expect(() => model.logits({ ...image, width: 16, height: 64 })).toThrow(/16 x 64, the model takes 32 x 32/);
    await expect(model.classify(image, { labels: ['cow'] })).rejects.toThrow(/label "cow"/);
    await model.dispose();
    await expect(model.classify(image)).rejects.toThrow(/is disposed/);
  });
});

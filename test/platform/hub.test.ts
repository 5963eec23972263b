import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import { hubFolder } from '../../src/platform/hub/cache.ts';
import { chooseFiles } from '../../src/platform/hub/choose_files.ts';
import { type DownloadOptions, downloadModel } from '../../src/platform/hub/download.ts';
import { parseHubReference } from '../../src/platform/hub/reference.ts';
import { runCli } from '../cli/fake_io.ts';
import { EMBEDDED } from '../cli/model_files.ts';
import { ROOT } from '../support/fixtures.ts';
import { testRandom } from '../support/floats.ts';
import { COMMIT, etagOf, type FakeHub, startHub, type Trick } from './hub_server.ts';

const random = testRandom(1);
const MODEL = Uint8Array.from({ length: 50_000 }, () => Math.floor(random() * 256));
const OTHER = MODEL.map((byte) => byte ^ 0x55);
const REPO = 'models--owner--repo';

let hub: FakeHub;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'glassformer-hub-'));
  hub = await startHub({ 'model.gguf': MODEL, 'README.md': new TextEncoder().encode('# model') });
});
afterEach(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

const env = (more: Record<string, string> = {}) => ({ HF_HUB_CACHE: folder, HF_ENDPOINT: hub.endpoint, ...more });
const fetchModel = (more: Partial<DownloadOptions> = {}, model = 'hf:owner/repo') =>
  downloadModel(model, { env: env(), retryMs: 1, idleMs: 2_000, ...more });
const blobs = () => readdirSync(join(folder, REPO, 'blobs'));
const bytesAsked = () => hub.requests.filter((r) => r.startsWith('GET'));

describe('a model is a path in the layout of Hugging Face', () => {
  test('blob, snapshot and ref', async () => {
    const path = await fetchModel();
    expect(path).toBe(join(folder, REPO, 'snapshots', COMMIT, 'model.gguf'));
    expect(readFileSync(path).equals(MODEL)).toBe(true);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readlinkSync(path)).toBe(join('..', '..', 'blobs', etagOf(MODEL)));
    expect(readFileSync(join(folder, REPO, 'refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(blobs()).toEqual([etagOf(MODEL)]);
  });

  test('what is there is not loaded again; a new commit with the same file is a link', async () => {
    await fetchModel();
    hub.commit = 'd'.repeat(40);
    const path = await fetchModel();
    expect(path).toContain('d'.repeat(40));
    expect(readFileSync(path).equals(MODEL)).toBe(true);
    await fetchModel();
    expect(bytesAsked()).toEqual(['GET model.gguf']);
  });

  test('a folder: config, tokenizer and weights, no others; small files are checked as git names them', async () => {
    const text = (s: string) => new TextEncoder().encode(s);
    hub.files = {
      'config.json': text('{}'),
      'model.safetensors': MODEL,
      'tokenizer.json': text('{"a":1}'),
      'pytorch_model.bin': OTHER,
    };
    const path = await fetchModel();
    expect(readdirSync(path).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(readFileSync(join(path, 'config.json'), 'utf8')).toBe('{}');
    hub.files = { ...hub.files, 'config.json': text('{ }') };
    hub.commit = 'e'.repeat(40);
    hub.tricks = [{ kind: 'wrong bytes' }];
    await expect(fetchModel()).rejects.toThrow(/config.json: its 3 bytes do not have the hash/);
  });

  test('a file in a folder, by name; a revision', async () => {
    hub.files = { 'q4/model.gguf': MODEL, 'q8/model.gguf': OTHER };
    const path = await fetchModel({}, 'hf:owner/repo@pr/1:q8/model.gguf');
    expect(readFileSync(path).equals(OTHER)).toBe(true);
    expect(readFileSync(join(folder, REPO, 'refs', 'pr', '1'), 'utf8')).toBe(COMMIT);
    expect(hub.requests[0]).toBe('LIST pr/1');
  });

  test('progress counts to the end', async () => {
    const seen: number[] = [];
    await fetchModel({ onProgress: ({ doneBytes, totalBytes }) => seen.push(doneBytes / totalBytes) });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe('a server that misbehaves', () => {
  test('cuts the connection: goes on where it was, if the file is still the same', async () => {
    hub.tricks = [20_000, 20_000].map((afterBytes): Trick => ({ kind: 'cut', afterBytes }));
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
    const etag = `"${etagOf(MODEL)}"`;
    expect(bytesAsked()).toEqual([
      'GET model.gguf',
      `GET model.gguf bytes=20000- if ${etag}`,
      `GET model.gguf bytes=40000- if ${etag}`,
    ]);
  });

  test('says nothing any more: is given up, and asked again', async () => {
    hub.tricks = [{ kind: 'stall', afterBytes: 30_000 }];
    expect(readFileSync(await fetchModel({ idleMs: 200 })).equals(MODEL)).toBe(true);
    expect(bytesAsked()[1]).toMatch(/^GET model.gguf bytes=30000-/);
  });

  test('ignores the range: begins again', async () => {
    hub.tricks = [{ kind: 'cut', afterBytes: 20_000 }, { kind: 'ignore range' }];
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
  });

  test('has a hiccup: is asked again', async () => {
    hub.tricks = [
      { kind: 'status', status: 503 },
      { kind: 'status', status: 429 },
    ];
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
  });

  test.each<[string, Trick[], typeof FormatError | typeof ConfigError, RegExp]>([
    ['sends more than it announced', [{ kind: 'more bytes' }], FormatError, /sends more than the 50000 bytes/],
    ['sends other bytes', [{ kind: 'wrong bytes' }], FormatError, /do not have the hash/],
    [
      'sends another range',
      [{ kind: 'cut', afterBytes: 100 }, { kind: 'wrong range' }],
      FormatError,
      /asked for bytes from 100/,
    ],
    ['answers 404', [{ kind: 'status', status: 404 }], ConfigError, /answered 404/],
    ['never answers', new Array(6).fill({ kind: 'status', status: 500 }), ConfigError, /gave up after 5 tries/],
  ])('%s: is refused, and nothing of it stays', async (_title, tricks, kind, message) => {
    hub.tricks = [...tricks];
    const failure = await fetchModel().catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(kind);
    expect(String(failure)).toMatch(message);
    expect(blobs()).toEqual([]);
    hub.tricks = [];
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
  });

  test.each([[MODEL.length + 1], [MODEL.length - 1], [2 ** 52]])('announces %d bytes: is refused', async (size) => {
    hub.size = size;
    await expect(fetchModel()).rejects.toThrow(/model.gguf/);
    expect(blobs().filter((name) => !name.endsWith('.incomplete'))).toEqual([]);
  });

  test('changes the file half way: is refused, whether or not it says so', async () => {
    hub.tricks = [{ kind: 'cut', afterBytes: 20_000 }];
    let isChanged = false;
    const onProgress = () => {
      if (!isChanged) hub.files = { 'model.gguf': OTHER };
      isChanged = true;
    };
    await expect(fetchModel({ onProgress })).rejects.toThrow(/do not have the hash/);
    expect(blobs()).toEqual([]);
    expect(readFileSync(await fetchModel()).equals(OTHER)).toBe(true);
  });

  test('lists files that lead out of the folder: is refused', async () => {
    hub.files = { 'model.gguf': MODEL, '../../evil.gguf': MODEL };
    await expect(fetchModel()).rejects.toThrow(/no path inside it/);
  });

  test('is no hub', async () => {
    hub.commit = '../..';
    await expect(fetchModel()).rejects.toThrow(/has no commit and list of files/);
  });
});

describe('downloads that end early', () => {
  test('an abort keeps what came; the next one goes on', async () => {
    hub.tricks = [{ kind: 'stall', afterBytes: 30_000 }];
    const controller = new AbortController();
    const reason = new Error('stopped');
    const onProgress = ({ doneBytes }: { doneBytes: number }) => {
      if (doneBytes === 30_000) controller.abort(reason);
    };
    await expect(fetchModel({ signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(blobs()).toEqual([expect.stringMatching(/\.free-.*\.incomplete$/)]);
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
    expect(bytesAsked()[1]).toBe('GET model.gguf bytes=30000-');
    expect(blobs()).toEqual([etagOf(MODEL)]);
  });

  /** What a process that is gone has left: its number was given to one that has ended. */
  function leave(bytes: Uint8Array): void {
    const ended = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }).trim();
    mkdirSync(join(folder, REPO, 'blobs'), { recursive: true });
    writeFileSync(join(folder, REPO, 'blobs', `${etagOf(MODEL)}.${ended}-1.incomplete`), bytes);
  }

  test('what a killed process left is gone on with', async () => {
    leave(MODEL.subarray(0, 12_345));
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
    expect(bytesAsked()).toEqual(['GET model.gguf bytes=12345-']);
    expect(blobs()).toEqual([etagOf(MODEL)]);
  });

  test.each([
    ['is of something else', OTHER.subarray(0, 12_345)],
    ['is too long', new Uint8Array(60_000)],
  ])('where that %s, it is loaded anew', async (_title, bytes) => {
    leave(bytes);
    expect(readFileSync(await fetchModel()).equals(MODEL)).toBe(true);
    expect(blobs()).toEqual([etagOf(MODEL)]);
  });

  test('several at once do not disturb each other', async () => {
    hub.tricks = [10_000, 20_000, 30_000].map((afterBytes): Trick => ({ kind: 'cut', afterBytes }));
    const paths = await Promise.all([fetchModel(), fetchModel(), fetchModel()]);
    for (const path of paths) expect(readFileSync(path).equals(MODEL)).toBe(true);
    expect(blobs()).toEqual([etagOf(MODEL)]);
  });
});

describe('without the hub', () => {
  test('HF_HUB_OFFLINE asks nobody', async () => {
    const offline = { env: env({ HF_HUB_OFFLINE: '1' }) };
    await expect(fetchModel(offline)).rejects.toThrow(/is not in the cache .*; HF_HUB_OFFLINE is set/);
    const path = await fetchModel();
    hub.requests.length = 0;
    expect(await fetchModel(offline)).toBe(path);
    expect(hub.requests).toEqual([]);
    rmSync(path);
    await expect(fetchModel(offline)).rejects.toThrow(ConfigError);
  });

  test('where it cannot be reached the cache serves, and that is said', async () => {
    const away = { env: env({ HF_ENDPOINT: 'http://127.0.0.1:9' }) };
    await expect(fetchModel(away)).rejects.toThrow(/is not in the cache .* cannot be reached/);
    const path = await fetchModel();
    const notices: string[] = [];
    expect(await fetchModel({ ...away, onNotice: (line) => notices.push(line) })).toBe(path);
    expect(notices).toEqual([expect.stringMatching(/cannot be reached .*; taken from the cache/)]);
  });

  test('generate asks the hub once', async () => {
    hub.files = { 'model.gguf': readFileSync(EMBEDDED) };
    await fetchModel();
    hub.requests.length = 0;
    await fetchModel();
    const once = [...hub.requests];
    expect(once.length).toBeGreaterThan(0);
    hub.requests.length = 0;
    const argv = ['generate', '--model', 'hf:owner/repo', '--ids', '1', '--max-tokens', '1', '--json'];
    expect((await runCli(argv, { env: env() })).exitCode).toBe(0);
    expect(hub.requests).toEqual(once);
  });

  test('a private model needs its token', async () => {
    hub.token = 'secret';
    await expect(fetchModel()).rejects.toThrow(/answered 401; it is private or gated: set HF_TOKEN/);
    await expect(fetchModel({ env: env({ HF_TOKEN: 'wrong' }) })).rejects.toThrow(/HF_TOKEN does not give access/);
    expect(readFileSync(await fetchModel({ env: env({ HF_TOKEN: 'secret' }) })).equals(MODEL)).toBe(true);
  });
});

test('where the cache is', () => {
  expect(hubFolder({ HF_HUB_CACHE: '/a', HF_HOME: '/b' })).toBe('/a');
  expect(hubFolder({ HF_HOME: '/b' })).toBe(join('/b', 'hub'));
  expect(hubFolder({ XDG_CACHE_HOME: '/c' })).toBe(join('/c', 'huggingface', 'hub'));
  expect(hubFolder({})).toBe(join(homedir(), '.cache', 'huggingface', 'hub'));
});

test.each([
  'hf:repo',
  'hf:a/b/c',
  'hf:../b',
  'hf:a/..',
  'hf:a/b:',
  'hf:a/b:../c.gguf',
  'hf:a/b:/c.gguf',
  'hf:a/b@../x',
  'hf:a/b:c\\d',
])('%s is no model of the hub', (model) => expect(() => parseHubReference(model)).toThrow(ConfigError));

describe('which files', () => {
  const choose = (files: string[], file: string | null = null) =>
    chooseFiles({ repo: 'owner/repo', revision: 'main', file }, files);

  test('all parts of a split file, and of a sharded folder', () => {
    const parts = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
    expect(choose([...parts, 'README.md'])).toEqual({ files: parts, open: parts[0] });
    expect(choose([...parts, 'other.gguf'], parts[0])).toEqual({ files: parts, open: parts[0] });
    const shards = ['config.json', 'model.safetensors.index.json', 'model-00001-of-00001.safetensors'];
    expect(choose(shards)).toEqual({ files: shards, open: null });
  });

  test('several models, none, or one that is not there', () => {
    expect(() => choose(['a.gguf', 'b.gguf'])).toThrow(
      /has several models, name one as hf:owner\/repo:FILE; a.gguf, b.gguf/,
    );
    expect(() => choose(['pytorch_model.bin'])).toThrow(/has neither a GGUF file nor/);
    expect(() => choose(['a.gguf'], 'b.gguf')).toThrow(/has no file b.gguf; it has a.gguf/);
    expect(() => choose(['a.bin'], 'a.bin')).toThrow(/only GGUF files/);
  });
});

test('an encoder comes with what says how its rows are pooled', async () => {
  const golden = join(ROOT, 'test/goldens/encoders/distilbert');
  const names = ['config.json', 'tokenizer.json', 'model.safetensors', 'modules.json', '1_Pooling/config.json'];
  hub.files = Object.fromEntries(names.map((name) => [name, readFileSync(join(golden, name))]));
  const embed = (model: string) => runCli(['embed', '--model', model, '--json', 'a cat'], { env: env() });
  const { exitCode, stdout, stderr } = await embed('hf:owner/repo');
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toBe((await embed(golden)).stdout);
});

test('the program loads a model of the hub, and the second time without the hub', async () => {
  hub.files = { 'model.gguf': readFileSync(join(ROOT, 'src/embedded/lm/model.gguf')) };
  const argv = ['generate', '--model', 'hf:owner/repo', '--temperature', '0', '--max-tokens', '5', 'Once'];
  const first = await runCli(argv, { env: env() });
  expect(first.exitCode, first.stderr).toBe(0);
  const second = await runCli(argv, { env: env({ HF_HUB_OFFLINE: 'true' }) });
  expect({ ...second, stderr: '' }).toEqual({ ...first, stderr: '' });
  expect(first.stdout).toBe((await runCli(argv.with(2, 'embedded'))).stdout);
});

import { readdir } from 'node:fs/promises';
import { relative } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import type { OnProgress } from '../../load/weights.ts';
import { type Env, hubFolder, openRepoCache, type RepoCache } from './cache.ts';
import { chooseFiles } from './choose_files.ts';
import { type HubReference, parseHubReference } from './reference.ts';
import { type HubFile, type HubServer, hubServer, Unreachable } from './server.ts';
import { transfer } from './transfer.ts';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly onNotice?: ((line: string) => void) | undefined;
  /** HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE; the process's own by default. */
  readonly env?: Env;
  /** A connection on which nothing comes for so long is given up, by default 30 s. */
  readonly idleMs?: number;
  /** Before a second try, by default 1 s; doubled each time. */
  readonly retryMs?: number;
}

/**
 * Makes a model of the Hugging Face hub a path on this machine: of its GGUF file, or of a folder. What the cache has is not
 * loaded again; a branch is looked up each time, unless HF_HUB_OFFLINE is set or the hub cannot be reached.
 *
 * model: "hf:owner/repo", with "@revision" or ":file.gguf" behind it.
 * Throws ConfigError when there is no such model, it may not be read, or it is not in the cache and the hub is out of reach;
 * FormatError when the hub's bytes are not what it says; the signal's reason. Nothing half written ever has a file's name.
 */
export async function downloadModel(model: string, o: DownloadOptions = {}): Promise<string> {
  const reference = parseHubReference(model);
  const env = o.env ?? process.env;
  const cache = openRepoCache(hubFolder(env), reference.repo);
  if (isOffline(env)) return fromCache(cache, reference, 'HF_HUB_OFFLINE is set');
  const server = hubServer(env, o.signal, o.idleMs ?? 30_000);
  try {
    return await fromHub(cache, server, reference, o);
  } catch (e) {
    if (!(e instanceof Unreachable)) throw e;
    const path = await fromCache(cache, reference, e.message);
    o.onNotice?.(`${e.message}; taken from the cache`);
    return path;
  }
}

async function fromHub(
  cache: RepoCache,
  server: HubServer,
  reference: HubReference,
  o: DownloadOptions,
): Promise<string> {
  const { commit, files: all } = await server.list(reference);
  const { files, open } = chooseFiles(reference, all);
  const missing: HubFile[] = [];
  for (const file of files) {
    if ((await cache.find(commit, file)) === null) missing.push(await server.describe(reference.repo, commit, file));
  }
  const totalBytes = missing.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of missing) {
    if (!(await cache.hasBlob(file.etag))) {
      const onBytes = (done: number): void => o.onProgress?.({ doneBytes: before + done, totalBytes, what: file.name });
      await transfer(cache, server, file, {
        signal: o.signal,
        onBytes,
        idleMs: o.idleMs ?? 30_000,
        retryMs: o.retryMs ?? 1_000,
      });
    }
    before += file.size;
    await cache.link(commit, file.name, file.etag);
  }
  // Last: who finds the branch finds all files of it.
  await cache.putRef(reference.revision, commit);
  return pathOf(cache, commit, open);
}

/** Throws ConfigError, with the reason why nobody was asked, when the cache does not have all of it. */
async function fromCache(cache: RepoCache, reference: HubReference, reason: string): Promise<string> {
  const commit = await cache.commitOf(reference.revision);
  const name = `hf:${reference.repo}@${reference.revision}`;
  if (commit === null) throw new ConfigError(`${name}: is not in the cache (${cache.path}); ${reason}`);
  const root = cache.snapshot(commit);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const there = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(root, `${entry.parentPath}/${entry.name}`).replaceAll('\\', '/'));
  const { files, open } = chooseFiles(reference, there);
  for (const file of files) {
    if ((await cache.find(commit, file)) === null) {
      throw new ConfigError(`${name}: ${file} is not in the cache (${cache.path}); ${reason}`);
    }
  }
  return pathOf(cache, commit, open);
}

async function pathOf(cache: RepoCache, commit: string, open: string | null): Promise<string> {
  return open === null ? cache.snapshot(commit) : (await cache.find(commit, open))!;
}

/** As huggingface_hub reads its switches. */
function isOffline(env: Env): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((env['HF_HUB_OFFLINE'] ?? '').toUpperCase());
}

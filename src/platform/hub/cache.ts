import { mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import { systemError } from '../node_file.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * The cache of Hugging Face's own tools, in their layout, so that each file is on the disk once:
 *
 *   <hub>/models--owner--repo/refs/main                     the commit that the branch had when it was last looked at
 *   <hub>/models--owner--repo/snapshots/<commit>/<file>     a link to the blob
 *   <hub>/models--owner--repo/blobs/<etag>                  the bytes
 *
 * A name appears when its file is complete and its hash was right; what is being loaded is
 * blobs/<etag>.<process>-<n>.incomplete, one for each download, so that two never write into one file ("free" in place of the
 * process: nobody does any more).
 * Source: huggingface_hub, "Understand caching".
 */
export interface RepoCache {
  readonly path: string;
  /** null: the revision was never looked at. A commit stands for itself. */
  commitOf(revision: string): Promise<string | null>;
  putRef(revision: string, commit: string): Promise<void>;
  snapshot(commit: string): string;
  /** Path of a file in a snapshot, null when it is not there (or its blob is gone). */
  find(commit: string, file: string): Promise<string | null>;
  hasBlob(etag: string): Promise<boolean>;
  /** A file of this download alone, which may hold the beginning that an ended process has left. */
  claim(etag: string): Promise<string>;
  /** Leaves what is there of a file to the next download. */
  release(partPath: string, etag: string): Promise<void>;
  /** Gives a complete file its name. */
  publish(partPath: string, etag: string): Promise<void>;
  /** Makes a blob a file of a snapshot; its path. */
  link(commit: string, file: string, etag: string): Promise<string>;
}

const COMMIT = /^[0-9a-f]{40}$/;
const INCOMPLETE = /^(.+)\.(\d+|free)-[\d-]+\.incomplete$/;

/** Where the cache is: HF_HUB_CACHE, else hub/ in HF_HOME, else in the user's cache folder. */
export function hubFolder(env: Env): string {
  const { HF_HUB_CACHE: hub, HF_HOME: home, XDG_CACHE_HOME: cache } = env;
  if (hub) return hub;
  return join(home || join(cache || join(homedir(), '.cache'), 'huggingface'), 'hub');
}

let nClaims = 0; // tells the downloads of one process apart

export function openRepoCache(hub: string, repo: string): RepoCache {
  const path = join(hub, `models--${repo.replaceAll('/', '--')}`);
  const blob = (etag: string): string => join(path, 'blobs', etag);
  const snapshot = (commit: string): string => join(path, 'snapshots', commit);
  return {
    path,
    snapshot,
    async commitOf(revision) {
      if (COMMIT.test(revision)) return revision;
      const text = await orNull(readFile(join(path, 'refs', revision), 'utf8'));
      return text !== null && COMMIT.test(text.trim()) ? text.trim() : null;
    },
    async putRef(revision, commit) {
      if (COMMIT.test(revision)) return;
      await putFile(join(path, 'refs', revision), (part) => writeFile(part, commit));
    },
    async find(commit, file) {
      const full = join(snapshot(commit), file);
      return (await orNull(stat(full)))?.isFile() ? full : null;
    },
    hasBlob: async (etag) => (await orNull(stat(blob(etag))))?.isFile() ?? false,
    async claim(etag) {
      await mkdir(join(path, 'blobs'), { recursive: true }).catch((e) => {
        throw systemError(path, e);
      });
      const own = `${blob(etag)}.${process.pid}-${++nClaims}.incomplete`;
      for (const name of await readdir(join(path, 'blobs'))) {
        const [, of, owner] = INCOMPLETE.exec(name) ?? [];
        if (of !== etag || (owner !== 'free' && isRunning(Number(owner)))) continue;
        // Only one of those who see it can rename it.
        if ((await orNull(rename(join(path, 'blobs', name), own).then(() => true))) === true) return own;
      }
      return own;
    },
    async release(partPath, etag) {
      if (((await orNull(stat(partPath)))?.size ?? 0) === 0) await rm(partPath, { force: true });
      else await orNull(rename(partPath, `${blob(etag)}.free-${process.pid}-${++nClaims}.incomplete`));
    },
    async publish(partPath, etag) {
      await rename(partPath, blob(etag));
    },
    async link(commit, file, etag) {
      const full = join(snapshot(commit), file);
      const target = relative(dirname(full), blob(etag));
      if ((await orNull(readlink(full))) === target) return full;
      await putFile(full, (part) => symlink(target, part));
      return full;
    },
  };
}

/** Writes a file or a link under another name, then gives it its own. */
async function putFile(path: string, write: (partPath: string) => Promise<void>): Promise<void> {
  const part = `${path}.${process.pid}-${++nClaims}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await write(part);
    await rename(part, path);
  } catch (e) {
    await rm(part, { force: true });
    throw new ConfigError(
      `${path}: cannot be written (${(e as Error).message}); set HF_HUB_CACHE to a folder that can`,
    );
  }
}

/** A process of this machine that still lives. One that must not be signalled does. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** null where there is no such file (any more). */
async function orNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EINVAL') return null;
    throw systemError('the cache of models', e);
  }
}

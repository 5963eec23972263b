import { ConfigError, ShapeError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import type { Executor, Logits } from '../exec/executor.ts';
import type { KvCache, KvSequence, PrefixScope } from '../kvcache/cache.ts';
import { checkTruncate } from '../kvcache/limits.ts';
import type { SessionOwner } from './session_file.ts';

/**
 * One sequence and its place in the cache: the explicit form of a conversation. Everything that was appended stays in the
 * cache until it is truncated, so the next append costs only its own tokens.
 */
export interface Session {
  /** The ids appended so far. */
  readonly ids: readonly number[];
  /** Its rows in the cache, for a run of several sequences at once. Right after an append it has all ids, and who changes it owns a fork. */
  readonly sequence: KvSequence;
  /**
   * Runs `ids` after those that are there, in chunks; any chunking gives the same bits.
   * Gives the logits of the last position, or of every new position ('all'): data [R, vocab].
   * Throws CapacityError when they do not fit the context, ShapeError for an id outside the vocabulary, the signal's reason
   * when it is aborted between chunks, KernelError when logits are not finite, ConfigError when another append still runs.
   * After a throw the session is as before.
   */
  append(
    ids: readonly number[],
    options?: { logits?: 'last' | 'all'; signal?: AbortSignal | undefined },
  ): Promise<Logits>;
  /** Forgets all ids from `length` on. Throws ConfigError, as fork does, while an append runs. */
  truncate(length: number): void;
  /**
   * The session as a file, piece by piece (session_file.ts draws it): nothing else may touch it until the last one was taken.
   * note: any text that belongs to it, a conversation's messages. Model.restoreSession reads it back.
   * Throws ConfigError while an append runs, UnsupportedError when rows have been dropped or rounded.
   */
  save(note?: string): AsyncGenerator<Uint8Array, void, void>;
  /** A second session with the same past; neither sees what the other appends. */
  fork(): Session;
  /** Gives back its memory. An append that runs ends with a ConfigError. */
  dispose(): void;
  [Symbol.dispose](): void;
}

const MAX_INT32 = 2 ** 31 - 1;

export interface SessionParts {
  readonly executor: Executor;
  readonly cache: KvCache;
  readonly host: Host;
  readonly prefillChunk: number;
  readonly scope?: PrefixScope | undefined;
  /** Rows that came from a file are not given to other sequences: a file may say anything, and nobody here has computed them. */
  readonly isRestored?: boolean;
  /** What a saved session belongs to. */
  owner(): Promise<SessionOwner>;
  /** Called when a run gave logits that are not finite: throws KernelError that names the cause. */
  diagnose(ids: readonly number[]): Promise<never>;
}

/** Whose pages a session may share; see PrefixScope. Only forms of the cache that find pages again look at it. */
export type SessionOptions = PrefixScope;

export function createSession(parts: SessionParts, past: readonly number[] = [], fork?: KvSequence): Session {
  const { executor, cache, host, prefillChunk, scope, isRestored } = parts;
  const ids: number[] = [...past];
  const sequence = fork ?? cache.create();
  let isDisposed = false;
  /** What is under way, if anything is. */
  let running: 'an append' | 'a save' | undefined;

  const checkAlive = (): void => {
    if (isDisposed) throw new ConfigError('session: it is disposed; create a new one with model.createSession()');
  };
  /** Between two chunks the cache has rows that `ids` has not: nothing else may touch the sequence then. */
  const checkIdle = (): void => {
    checkAlive();
    if (running !== undefined) throw new ConfigError(`session: ${running} is under way; await it before the next call`);
  };

  /**
   * Takes rows back down to `length` ids. A cache that has forgotten what it needs there starts from nothing, and the next append
   * runs again what it lacks.
   */
  const cut = (length: number): void => {
    const target = Math.min(length, cache.length(sequence));
    cache.truncate(sequence, cache.canTruncate(sequence, target) ? target : 0);
  };

  const session: Session = {
    ids,
    sequence,
    async append(newIds, { logits: which = 'last', signal } = {}) {
      checkIdle();
      checkIds(newIds);
      const before = ids.length;
      running = 'an append';
      try {
        // Rows that are known already are not computed; those of which logits are wanted must be.
        if (before === 0 && which === 'last') cache.adoptPrefix?.(sequence, newIds, scope);
        const nThere = cache.length(sequence);
        const todo = nThere < before ? [...ids.slice(nThere), ...newIds] : newIds.slice(nThere - before);
        cache.prepare(sequence, todo.length); // there is room; chunks take it one by one
        const chunks: Logits[] = [];
        for (let from = 0; from < todo.length; ) {
          signal?.throwIfAborted();
          if (from > 0) {
            await host.pause();
            checkAlive();
          }
          const first = cache.length(sequence);
          const chunk = todo.slice(from, from + Math.min(prefillChunk, cache.most(sequence)));
          from += chunk.length;
          cache.reserve(sequence, chunk.length);
          const rows = which === 'all' ? chunk.map((_, t) => t) : from === todo.length ? [chunk.length - 1] : [];
          const outRows = rows.filter((t) => first + t >= before); // not of what is run again
          const result = executor.run(
            {
              ids: Int32Array.from(chunk),
              positions: Int32Array.from(chunk, (_, t) => first + t),
              segments: [{ sequence, from: 0, count: chunk.length }],
              outRows: Int32Array.from(outRows),
            },
            cache,
          );
          if (outRows.length > 0) chunks.push(result);
        }
        const logits = joinLogits(chunks);
        if (!allFinite(logits.data)) await parts.diagnose([...ids, ...newIds]);
        ids.push(...newIds);
        if (isRestored !== true) cache.publish?.(sequence, ids, scope);
        return logits;
      } catch (e) {
        cut(before);
        throw e;
      } finally {
        running = undefined;
        if (isDisposed) cache.release(sequence);
      }
    },
    async *save(note) {
      checkIdle();
      running = 'a save';
      try {
        const { sessionFile } = await import('./session_file.ts'); // few are saved
        yield* sessionFile(await parts.owner(), sequence, ids, note);
      } finally {
        running = undefined;
        if (isDisposed) cache.release(sequence);
      }
    },
    truncate(length) {
      checkIdle();
      checkTruncate(length, ids.length);
      cut(length);
      ids.length = length;
    },
    fork() {
      checkIdle();
      return createSession(parts, ids, cache.fork(sequence));
    },
    dispose() {
      if (!isDisposed && running === undefined) cache.release(sequence);
      isDisposed = true;
    },
    [Symbol.dispose]: () => session.dispose(),
  };
  return session;
}

/** Throws ShapeError for no ids, and for what is none. */
export function checkIds(ids: readonly number[]): void {
  if (ids.length === 0) throw new ShapeError('session: append was given no ids; a run needs at least one');
  // An Int32Array would wrap or cut these to another token's id; the executor checks the vocabulary.
  const notAnId = ids.find((id) => !Number.isInteger(id) || Math.abs(id) > MAX_INT32);
  if (notAnId !== undefined) throw new ShapeError(`session: ${notAnId} is not a token id; ids are integers from 0`);
}

/** The rows of several runs as one. */
export function joinLogits(chunks: readonly Logits[]): Logits {
  const first = chunks[0]!;
  if (chunks.length === 1) return first;
  const n = chunks.reduce((sum, c) => sum + c.data.length, 0);
  const data = first.data instanceof Float32Array ? new Float32Array(n) : new Float64Array(n);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk.data, at);
    at += chunk.data.length;
  }
  return { vocab: first.vocab, data };
}

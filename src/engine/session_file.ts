import { CapacityError, ConfigError, FormatError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import { createSha256, hexOf, SHA256_BYTES } from '../core/sha256.ts';
import type { KvCache, KvSequence } from '../kvcache/cache.ts';
import type { KvLayout } from '../kvcache/layout.ts';

/**
 * A session as a file: its ids, and the rows of its sequence as they were computed. Such files are as untrusted as models.
 *
 *   magic "GLASSKV1" | u32 elementBytes, nLayers, nKvHeads, headDim, nIds, noteBytes | fingerprint, 32 bytes
 *   ids, i32 [nIds] | note, UTF-8 | digest
 *   then for each layer K, then V, for each stretch of STRETCH positions:
 *     rows, [count, nKvHeads, headDim] | digest
 *
 * All little-endian, as in memory on every host that has WebAssembly. A digest is SHA-256 of the digest before it and of the bytes between the two, so no part can be
 * damaged, left out or moved unnoticed. Rows are in the order of positions and not in the cache's own: a file does not depend on
 * the form of the cache that wrote it, nor on its page size.
 */
const MAGIC = 'GLASSKV1';
const HEAD_BYTES = MAGIC.length + 6 * 4 + SHA256_BYTES;
/** Positions whose rows have one digest: what is read is checked before more is. */
const STRETCH = 256;
/** What a caller may add: a conversation's messages. More than this is no note. */
const MAX_NOTE_BYTES = 1 << 24;

export interface SavedSession {
  readonly ids: readonly number[];
  /** Empty where the file has none. */
  readonly note: string;
  readonly sequence: KvSequence;
}

/** What the rows belong to: a file of another model is refused. fingerprint: SHA256_BYTES. */
export interface SessionOwner {
  readonly cache: KvCache;
  readonly fingerprint: Uint8Array;
  readonly vocab: number;
}

/**
 * The file of a sequence, piece by piece.
 * Throws UnsupportedError when the cache forgets or rounds rows, ConfigError for a note that is too long.
 */
export function* sessionFile(
  { cache, fingerprint }: SessionOwner,
  sequence: KvSequence,
  ids: readonly number[],
  note = '',
): Generator<Uint8Array, void, void> {
  const noteBytes = new TextEncoder().encode(note);
  if (noteBytes.length > MAX_NOTE_BYTES) {
    throw new ConfigError(`session: a note of ${noteBytes.length} bytes, at most ${MAX_NOTE_BYTES}; shorten it`);
  }
  checkExact(cache);
  const { elementBytes, nLayers, nKvHeads, headDim } = cache.layout;
  const head = new Uint8Array(HEAD_BYTES + 4 * ids.length + noteBytes.length);
  const view = new DataView(head.buffer);
  head.set(new TextEncoder().encode(MAGIC));
  for (const [i, n] of [elementBytes, nLayers, nKvHeads, headDim, ids.length, noteBytes.length].entries()) {
    view.setUint32(MAGIC.length + 4 * i, n, true);
  }
  head.set(fingerprint, HEAD_BYTES - SHA256_BYTES);
  for (const [i, id] of ids.entries()) view.setInt32(HEAD_BYTES + 4 * i, id, true);
  head.set(noteBytes, HEAD_BYTES + 4 * ids.length);
  let digest = createSha256().update(head).digest();
  yield head;
  yield digest;
  for (let layer = 0; layer < nLayers; layer++) {
    for (const rows of [cache.readK(sequence, layer), cache.readV(sequence, layer)]) {
      for (let from = 0; from < ids.length; from += STRETCH) {
        const part = rows.subarray(from * nKvHeads * headDim, (from + STRETCH) * nKvHeads * headDim);
        const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
        digest = createSha256().update(digest).update(bytes).digest();
        yield bytes;
        yield digest;
      }
    }
  }
}

/**
 * Reads a file into a new sequence of the cache.
 * Throws UnsupportedError as above; FormatError for a file that is damaged, cut short or no session, ConfigError for one of another model or layout,
 * CapacityError when its positions do not fit the cache. Nothing is left in the cache then, and nothing is allocated for a
 * length that the file only claims.
 */
export async function readSessionFile(source: ByteSource, owner: SessionOwner): Promise<SavedSession> {
  const { cache, fingerprint, vocab } = owner;
  checkExact(cache);
  const { name, size } = source;
  if (size < HEAD_BYTES)
    throw new FormatError(
      `${name}: has ${size} bytes, a session has at least ${HEAD_BYTES}; it is cut short, or another file`,
      0,
    );
  const fixed = new Uint8Array(HEAD_BYTES);
  await source.read(0, fixed);
  const view = new DataView(fixed.buffer);
  const magic = String.fromCharCode(...fixed.subarray(0, MAGIC.length));
  if (magic.slice(0, -1) === MAGIC.slice(0, -1) && magic !== MAGIC) {
    throw new UnsupportedError(
      `${name}: a session of version ${JSON.stringify(magic.at(-1))}, this engine reads 1; save it again with this one`,
    );
  }
  if (magic !== MAGIC)
    throw new FormatError(
      `${name}: begins with ${JSON.stringify(magic)}, not "${MAGIC}"; give a file that a session was saved to`,
      0,
    );
  const [elementBytes, nLayers, nKvHeads, headDim, nIds, noteBytes] = Array.from({ length: 6 }, (_, i) =>
    view.getUint32(MAGIC.length + 4 * i, true),
  ) as [number, number, number, number, number, number];
  checkLayout(name, cache.layout, { elementBytes, nLayers, nKvHeads, headDim });
  if (fixed.subarray(-SHA256_BYTES).some((byte, i) => byte !== fingerprint[i])) {
    const given = hexOf(fixed.subarray(-SHA256_BYTES)).slice(0, 16);
    throw new ConfigError(
      `${name}: is a session of the model ${given}..., this one is ${hexOf(fingerprint).slice(0, 16)}...; load the model it was saved with`,
    );
  }
  if (noteBytes > MAX_NOTE_BYTES) {
    throw new FormatError(
      `${name}: says its note has ${noteBytes} bytes, at most ${MAX_NOTE_BYTES}; it is damaged`,
      MAGIC.length + 20,
    );
  }
  const expected = fileBytes(cache.layout, nIds, noteBytes);
  if (size !== expected) {
    throw new FormatError(
      `${name}: ${nIds} positions take ${expected} bytes, the file has ${size}; it is cut short or damaged`,
      size,
    );
  }
  if (nIds > cache.maxSeq) {
    throw new CapacityError(`${name}: has ${nIds} positions, this model runs at most ${cache.maxSeq}; raise --max-seq`);
  }

  const parts = createCheckedReader(source);
  const head = await parts.next(HEAD_BYTES + 4 * nIds + noteBytes);
  const headView = new DataView(head.buffer);
  const ids = Array.from({ length: nIds }, (_, i) => headView.getInt32(HEAD_BYTES + 4 * i, true));
  const wrong = ids.findIndex((id) => id < 0 || id >= vocab);
  if (wrong >= 0) {
    throw new FormatError(
      `${name}: id ${ids[wrong]} is outside the vocabulary 0..${vocab - 1}`,
      HEAD_BYTES + 4 * wrong,
    );
  }
  const note = new TextDecoder().decode(head.subarray(HEAD_BYTES + 4 * nIds));
  const sequence = cache.create();
  try {
    cache.reserve(sequence, nIds);
    for (let layer = 0; layer < nLayers; layer++) {
      for (const write of [cache.writeK, cache.writeV]) {
        for (let from = 0; from < nIds; from += STRETCH) {
          const count = Math.min(STRETCH, nIds - from);
          const bytes = await parts.next(count * nKvHeads * headDim * elementBytes);
          write(
            sequence,
            layer,
            from,
            elementBytes === 4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer),
          );
        }
      }
    }
  } catch (e) {
    cache.release(sequence);
    throw e;
  }
  return { ids, note, sequence };
}

/** Size of a whole file: sums of products below 2^53, since a layout is a model's and nIds, noteBytes are 32 bits. */
function fileBytes({ elementBytes, nLayers, nKvHeads, headDim }: KvLayout, nIds: number, noteBytes: number): number {
  const rows = nIds * nKvHeads * headDim * elementBytes + Math.ceil(nIds / STRETCH) * SHA256_BYTES;
  return HEAD_BYTES + 4 * nIds + noteBytes + SHA256_BYTES + 2 * nLayers * rows;
}

/** A cache that forgets or rounds has not the rows that a file holds, nor may it take them: it would have computed others. */
function checkExact({ window, codes, attended }: KvCache): void {
  if (window === null && codes === null && attended === undefined) return;
  const flag = window !== null ? '--window' : codes !== null ? '--kv-type' : '--kv-evict';
  throw new UnsupportedError(`session: its cache ${codes === null ? 'forgets' : 'rounds'} rows; run without ${flag}`);
}

function checkLayout(name: string, needed: KvLayout, given: Record<keyof KvLayout, number>): void {
  for (const key of ['elementBytes', 'nLayers', 'nKvHeads', 'headDim'] as const) {
    if (given[key] !== needed[key]) {
      throw new ConfigError(
        `${name}: is a session with ${key} ${given[key]}, this model has ${needed[key]}; load the model and executor it was saved with`,
      );
    }
  }
}

/** Reads part after part, each with the digest behind it. */
function createCheckedReader(source: ByteSource) {
  let at = 0;
  let digest = new Uint8Array(0);
  return {
    async next(nBytes: number): Promise<Uint8Array<ArrayBuffer>> {
      const bytes = new Uint8Array(nBytes + SHA256_BYTES);
      await source.read(at, bytes);
      const body = bytes.slice(0, nBytes);
      digest = createSha256().update(digest).update(body).digest();
      if (bytes.subarray(nBytes).some((byte, i) => byte !== digest[i])) {
        throw new FormatError(
          `${source.name}: bytes ${at} to ${at + nBytes} do not have their checksum; it is damaged, go on from another copy`,
          at,
        );
      }
      at += bytes.length;
      return body;
    },
  };
}

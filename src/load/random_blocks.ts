import type { DType } from '../core/dtype.ts';
import { f32ToF16 } from '../core/half.ts';
import { FORMATS, type Format } from '../quant/formats.ts';
import { writeU16 } from '../quant/ggml_block.ts';

/** Numbers of 32 bits, each as likely as any other. */
export type RandomWords = () => number;

/**
 * A tensor of at most this many elements has weights of its own; a larger one is put together from packed blocks of this
 * many, each drawn anew. Packing a billion weights in a format whose scales come out of a search would take an hour.
 * A power of two, and so is every block size.
 */
const POOL_VALUES = 2 ** 17;

/** Data is handed out about this many bytes at a time. */
const CHUNK_BYTES = 2 ** 20;

/** The smallest normal f16. */
const LEAST_F16 = 2 ** -14;

/** Weights of one distribution: `draw` gives one of them, `rms` is the root of their mean square. */
export interface Weights {
  draw(): number;
  readonly rms: number;
}

/**
 * The bytes of n elements of random weights, whole blocks, in chunks that are valid until the next one is taken.
 *
 * pool: what `packedPool` gave for the same format and weights, or undefined where `isPooled(n)` is false.
 */
export function* randomData(
  type: DType,
  n: number,
  weights: Weights,
  words: RandomWords,
  pool: Uint8Array | undefined,
): Generator<Uint8Array, void, void> {
  if (pool === undefined) {
    yield packedBlocks(type, n, weights, words);
    return;
  }
  const { blockSize, blockBytes } = FORMATS[type];
  const shift = 32 - Math.log2(POOL_VALUES / blockSize);
  const nBlocks = n / blockSize;
  const perChunk = Math.floor(CHUNK_BYTES / blockBytes);
  const chunk = new Uint8Array(Math.min(nBlocks, perChunk) * blockBytes);
  for (let done = 0; done < nBlocks; done += perChunk) {
    const nBytes = Math.min(perChunk, nBlocks - done) * blockBytes;
    for (let at = 0; at < nBytes; at += blockBytes) {
      const from = (words() >>> shift) * blockBytes;
      for (let i = 0; i < blockBytes; i++) chunk[at + i] = pool[from + i]!;
    }
    yield chunk.subarray(0, nBytes);
  }
}

/** Whether a tensor of n elements is put together from a pool. */
export function isPooled(n: number): boolean {
  return n > POOL_VALUES;
}

/** The packed blocks that large tensors draw from. */
export function packedPool(type: DType, weights: Weights, words: RandomWords): Uint8Array {
  return packedBlocks(type, POOL_VALUES, weights, words);
}

function packedBlocks(type: DType, n: number, weights: Weights, words: RandomWords): Uint8Array {
  const format: Format = FORMATS[type];
  const bytes = new Uint8Array((n / format.blockSize) * format.blockBytes);
  if (format.pack === undefined) {
    for (let at = 0; at < bytes.length; at += format.blockBytes) anyBlock(type, format, weights.rms, words, bytes, at);
    return bytes;
  }
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = weights.draw();
  format.pack(values, 0, n, bytes, 0);
  return bytes;
}

/**
 * A block of a format that can only be read here: codes of any bits, which are all valid, and the scale with which the
 * values they stand for have the wanted mean square, where that is a normal f16.
 */
function anyBlock(
  type: DType,
  { blockSize, blockBytes, unpack }: Format,
  rms: number,
  words: RandomWords,
  bytes: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < blockBytes; i++) bytes[at + i] = words() >>> 24;
  setScale(type, bytes, at, 1);
  const values = new Float32Array(blockSize);
  unpack(bytes, at, values, 0, blockSize);
  const meanSquare = values.reduce((sum, v) => sum + v * v, 0) / blockSize;
  setScale(type, bytes, at, Math.max(LEAST_F16, rms / Math.sqrt(meanSquare)));
}

/** d is the f16 at the start of a block; iq1_m has it in the upper four bits of four words, the lowest ones first. */
function setScale(type: DType, bytes: Uint8Array, at: number, d: number): void {
  const bits = f32ToF16(d);
  if (type !== 'iq1_m') {
    writeU16(bytes, at, bits);
    return;
  }
  for (let q = 0; q < 4; q++) {
    const upper = at + IQ1_M_WORDS_AT + 2 * q + 1;
    bytes[upper] = (bytes[upper]! & 0x0f) | (((bits >>> (4 * q)) & 0x0f) << 4);
  }
}

/** Where iq1_m has its four words; its drawing is in quant/iq1_m.ts. */
const IQ1_M_WORDS_AT = 48;

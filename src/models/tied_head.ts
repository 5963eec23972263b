import { UnsupportedError } from '../core/errors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { quote } from '../load/quote.ts';
import type { Tensors } from './architecture.ts';

const CHUNK_BYTES = 1 << 20;

/**
 * The tensors of a folder that says tie_word_embeddings and has an output matrix too. The same bytes as the embedding's:
 * without it, the embedding is the head.
 *
 * Throws UnsupportedError where they differ: such a folder contradicts itself, and its readers do not agree. transformers up to 4
 * ties, so that the output matrix is ignored; from 5 on it does not tie and warns (modeling_utils.py, tie_weights).
 */
export async function withoutTiedHead(tensors: Tensors, hfHead: string): Promise<Tensors> {
  const [head, embedding] = [tensors.get('output.weight'), tensors.get('token_embd.weight')];
  if (head === undefined || embedding === undefined) return tensors;
  if (!(await isSame(head, embedding))) {
    throw new UnsupportedError(
      `config.json: tie_word_embeddings is true (said, or by default), but tensor ${quote(hfHead)} differs from the embedding ${quote(embedding.name)}; say false to run ${quote(hfHead)}, or leave that tensor out to run the embedding`,
    );
  }
  return new Map([...tensors].filter(([name]) => name !== 'output.weight'));
}

async function isSame(a: TensorInfo, b: TensorInfo): Promise<boolean> {
  if (a.type !== b.type || a.nBytes !== b.nBytes || a.shape.some((size, i) => size !== b.shape[i])) return false;
  const [left, right] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  for (let at = 0; at < a.nBytes; at += CHUNK_BYTES) {
    const n = Math.min(CHUNK_BYTES, a.nBytes - at);
    await a.source.read(a.offset + at, left.subarray(0, n));
    await b.source.read(b.offset + at, right.subarray(0, n));
    for (let i = 0; i < n; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

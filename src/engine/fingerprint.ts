import { createSha256 } from '../core/sha256.ts';
import { readTensorBytes } from '../load/weights.ts';
import type { ModelDescription } from '../models/architectures.ts';
import type { Activations, Sums } from '../ops/linear.ts';

/** Bytes of each tensor's start that are looked at: training changes nearly every weight, and a model is not read twice for it. */
const SAMPLE_BYTES = 1024;

/**
 * What computed the rows of a cache, as 32 bytes: SHA-256 of the config, of how activations enter, in what products are summed, of the rope's angles (which
 * may follow from maxSeq), and of each tensor's name, format, shape and first bytes. The same for every executor and kernel build whose bits are equal, and for a file under
 * another name. Not a seal: two files that differ only behind the first SAMPLE_BYTES of every tensor are not told apart.
 * Throws FormatError when the file has shrunk since it was opened.
 */
export async function modelFingerprint(
  { architecture, config, tensors, buildGraph }: ModelDescription,
  activations: Activations,
  sums: Sums,
  maxSeq: number,
): Promise<Uint8Array> {
  const sha = createSha256();
  const text = new TextEncoder();
  const { ropes, nodes } = buildGraph(activations, maxSeq);
  const factors = nodes.flatMap((node) => (node.op === 'scale' ? [node.by] : [])); // among them those of adapters
  const wide = sums === 'f64' ? [sums] : []; // f32 adds nothing: files that were saved before still fit
  sha.update(text.encode(JSON.stringify([architecture, activations, config, ropes, factors, ...wide])));
  for (const info of [...tensors.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const sample = new Uint8Array(Math.min(SAMPLE_BYTES, info.nBytes));
    await readTensorBytes(info, 0, sample);
    sha.update(text.encode(JSON.stringify([info.name, info.type, info.shape]))).update(sample);
  }
  return sha.digest();
}

import { pow } from '../core/math.ts';
import { derived, inStrips } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';

/** The numbers of ALiBi as op position_bias reads them. No file has them: they follow from the count of heads. */
export const ALIBI = 'alibi.weight';

/** Of one head to the next, over all heads of a model, slopes fall from near 1 by a factor of 2^-8. */
const OCTAVES = 8;

/**
 * How fast each head forgets: 2^(-8/n), 2^(-16/n), ... of n heads; where nHeads is no power of two, those of the power below it, and
 * then every other one of twice as many heads.
 * Source: Press et al. 2021, "Train Short, Test Long", section 3, and its code (fairseq, ALiBi) for other counts.
 */
export function alibiSlopes(nHeads: number): number[] {
  let below = 1;
  while (2 * below <= nHeads) below *= 2;
  return Array.from({ length: nHeads }, (_, h) =>
    h < below ? pow(2, (-OCTAVES * (h + 1)) / below) : pow(2, (-OCTAVES * (2 * (h - below) + 1)) / (2 * below)),
  );
}

/**
 * b[h, D + d] = slope[h] * d * scale for distances d = s - t from -D to 0, rounded to f32 once; 0 for rows that follow, which none sees.
 *
 * -> f32 [nHeads * (2 D + 1)], D = maxDistance. `beside`: any tensor of the model, for messages. transformers adds slope * s, which is the
 * same for a softmax, and rounds it to bf16; here it is not rounded to that.
 */
export function alibiTensor(beside: TensorInfo, nHeads: number, maxDistance: number, scale: number): TensorInfo {
  const width = 2 * maxDistance + 1;
  const slopes = alibiSlopes(nHeads);
  const from = { ...beside, name: ALIBI };
  return derived(from, 'f32', [nHeads * width], 4 * nHeads * width, (at, into) =>
    inStrips(at, into, async (start, part) => {
      const bytes = new DataView(new ArrayBuffer(4));
      for (let i = 0; i < part.length; i++) {
        const element = Math.floor((start + i) / 4);
        const distance = Math.min((element % width) - maxDistance, 0);
        bytes.setFloat32(0, slopes[Math.floor(element / width)]! * distance * scale, true);
        part[i] = bytes.getUint8((start + i) % 4);
      }
    }),
  );
}

import { ConfigError } from '../core/errors.ts';
import { sum64 } from '../core/sum.ts';
import { softmaxWeights } from './softmax.ts';

export interface LabelProb {
  readonly label: string;
  readonly prob: number;
}

/**
 * Probabilities of labels, the likeliest first (of equals, the one that the model has first).
 * logits: finite, one for each label; computed in float64, so that they add up to 1 within its last digits.
 *
 * among: these labels alone compete, the others are left out before anything is added up. Throws ConfigError for one that the
 * model does not have.
 */
export function labelProbs(
  logits: ArrayLike<number>,
  labels: readonly string[],
  among: readonly string[] = labels,
): LabelProb[] {
  const classes = among.map((label) => {
    const at = labels.indexOf(label);
    if (at < 0) throw new ConfigError(`label ${JSON.stringify(label)} is none of the model's: ${labels.join(', ')}`);
    return at;
  });
  const weights = softmaxWeights(
    Float64Array.from(classes, (at) => logits[at]!),
    1,
  );
  const total = sum64(weights, 0, weights.length);
  return among.map((label, i) => ({ label, prob: weights[i]! / total })).sort((a, b) => b.prob - a.prob);
}

/**
 * "This image is most likely a dog." Of a label with several names ("tabby, tabby cat") the first is said.
 * The article follows the first letter, which is wrong for a few words (an hour, a unicorn).
 */
export function labelSentence([first]: readonly LabelProb[]): string {
  const name = first!.label.split(',')[0]!.trim();
  return `This image is most likely ${withArticle(name, /^[aeiou]/i.test(name) ? 'an' : 'a')}.`;
}

/** A label that brings its own article ("a cat", "the sea") keeps it. */
export function withArticle(label: string, article: 'a' | 'an'): string {
  return /^(a|an|the)\s/i.test(label) ? label : `${article} ${label}`;
}

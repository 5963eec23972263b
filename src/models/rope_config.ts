import type { RopeLayout } from '../ops/rope.ts';
import { divideFrequencies, type RopeSpec, ropeFrequencies, scaleLinear, scaleLlama3 } from '../ops/rope_table.ts';
import { need, needPositive } from './config_checks.ts';

/** How the rope's frequencies are stretched for contexts longer than those of the first training. */
export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContext: number;
    }
  /** One divisor per frequency, as the tensor rope_freqs.weight of a GGUF file has them. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] };

/** What decides the angles by which an architecture with RoPE turns its heads. */
export interface RopeConfig {
  readonly ropeLayout: RopeLayout;
  readonly ropeBase: number;
  /** Elements of a head that turn; the rest are copied. */
  readonly ropeDim: number;
  readonly ropeScaling: RopeScaling;
}

/** Throws ConfigError naming the first field that cannot be. */
export function checkRope({ ropeBase, ropeDim, ropeScaling: scaling }: RopeConfig, headDim: number): void {
  need(
    'ropeDim',
    ropeDim,
    Number.isInteger(ropeDim) && ropeDim >= 2 && ropeDim % 2 === 0 && ropeDim <= headDim,
    `even and at most headDim=${headDim}`,
  );
  needPositive('ropeBase', ropeBase);
  if (scaling.kind === 'linear' || scaling.kind === 'llama3') needPositive('rope scaling factor', scaling.factor);
  if (scaling.kind === 'llama3') {
    const { lowFreqFactor: low, highFreqFactor: high, originalContext } = scaling;
    need(
      'low_freq_factor',
      low,
      low > 0 && low < high && Number.isFinite(high),
      `above 0 and below high_freq_factor=${high}`,
    );
    need('original_max_position_embeddings', originalContext, originalContext >= 1, 'a positive integer');
  }
  if (scaling.kind === 'factors') {
    const n = scaling.factors.length;
    need('number of rope_freqs factors', n, n === ropeDim / 2, `ropeDim / 2 = ${ropeDim / 2}`);
    for (const factor of scaling.factors) needPositive('rope_freqs factor', factor);
  }
}

/** The angles per position of this config, with its scaling worked in. */
export function ropeSpec(config: RopeConfig): RopeSpec {
  const plain = ropeFrequencies(config.ropeBase, config.ropeDim);
  const scaling = config.ropeScaling;
  switch (scaling.kind) {
    case 'none':
      return { frequencies: plain, magnitude: 1 };
    case 'linear':
      return { frequencies: scaleLinear(plain, scaling.factor), magnitude: 1 };
    case 'llama3':
      return { frequencies: scaleLlama3(plain, scaling), magnitude: 1 };
    case 'factors':
      return { frequencies: divideFrequencies(plain, scaling.factors), magnitude: 1 };
    default:
      return scaling satisfies never;
  }
}

/** The line that "inspect" has about it. */
export function ropeFact({ ropeBase, ropeDim, ropeLayout, ropeScaling }: RopeConfig): [name: string, text: string] {
  return ['rope', `base ${ropeBase}, ${ropeDim} of each head, ${ropeLayout}, scaling ${ropeScaling.kind}`];
}

import type { RopeLayout } from '../ops/rope.ts';
import {
  divideFrequencies,
  dynamicNtkBase,
  scaleLinear,
  scaleLlama3,
  scaleYarn,
  type YarnScaling,
} from '../ops/rope_scaling.ts';
import { type RopeSpec, ropeFrequencies } from '../ops/rope_table.ts';
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
  /** One divisor per frequency, as the tensor rope_freqs.weight of a GGUF file has them. magnitude: 1 where it is not given. */
  | { readonly kind: 'factors'; readonly factors: readonly number[]; readonly magnitude?: number }
  | ({ readonly kind: 'yarn'; readonly magnitude: number } & YarnScaling)
  /** A base that follows from the longest sequence. */
  | { readonly kind: 'dynamic'; readonly factor: number; readonly originalContext: number }
  /** One divisor per frequency, and others where sequences may be longer than those of the first training. */
  | {
      readonly kind: 'longrope';
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly originalContext: number;
      readonly magnitude: number;
    };

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
  switch (scaling.kind) {
    case 'none':
      return;
    case 'linear':
      needPositive('rope scaling factor', scaling.factor);
      return;
    case 'llama3': {
      const { lowFreqFactor: low, highFreqFactor: high } = scaling;
      needPositive('rope scaling factor', scaling.factor);
      const isOrdered = low > 0 && low < high && Number.isFinite(high);
      need('low_freq_factor', low, isOrdered, `above 0 and below high_freq_factor=${high}`);
      needContext(scaling.originalContext);
      return;
    }
    case 'factors':
      needFactors('rope_freqs', scaling.factors, ropeDim);
      return;
    case 'yarn': {
      const { betaFast, betaSlow } = scaling;
      needPositive('rope scaling factor', scaling.factor);
      needContext(scaling.originalContext);
      need('beta_slow', betaSlow, betaSlow > 0 && betaSlow <= betaFast, `above 0 and at most beta_fast=${betaFast}`);
      needPositive('beta_fast', betaFast);
      need('ropeBase', ropeBase, ropeBase > 1, 'above 1 for yarn');
      needPositive('rope scaling magnitude', scaling.magnitude);
      return;
    }
    case 'dynamic':
      need('rope scaling factor', scaling.factor, scaling.factor >= 1 && Number.isFinite(scaling.factor), 'at least 1');
      need('ropeDim', ropeDim, ropeDim > 2, 'above 2 for dynamic scaling');
      needContext(scaling.originalContext);
      return;
    case 'longrope':
      needFactors('short rope', scaling.short, ropeDim);
      needFactors('long rope', scaling.long, ropeDim);
      needContext(scaling.originalContext);
      needPositive('rope scaling magnitude', scaling.magnitude);
      return;
    default:
      scaling satisfies never;
  }
}

function needContext(originalContext: number): void {
  needPositive('original_max_position_embeddings', originalContext);
}

function needFactors(what: string, factors: readonly number[], ropeDim: number): void {
  const n = factors.length;
  need(`number of ${what} factors`, n, n === ropeDim / 2, `ropeDim / 2 = ${ropeDim / 2}`);
  for (const factor of factors) needPositive(`${what} factor`, factor);
}

/**
 * The config for sequences of up to maxSeq positions: where the scaling follows from a sequence's length, it is fixed here.
 *
 * By their definition, dynamic and longrope angles change while a sequence grows, and every row of the cache would have to be
 * computed again with each change. A table is made once: sequences that may have at most originalContext positions have the
 * angles of short ones, and where they may have more, all have those of a sequence of maxSeq positions, from the first on.
 */
export function ropeAt<C extends RopeConfig & { readonly maxContext: number }>(
  config: C,
  maxSeq = config.maxContext,
): C {
  const { ropeScaling: scaling, ropeBase, ropeDim } = config;
  if (scaling.kind === 'dynamic') {
    const base = dynamicNtkBase(ropeBase, ropeDim, scaling, maxSeq);
    return { ...config, ropeBase: base, ropeScaling: { kind: 'none' } };
  }
  if (scaling.kind === 'longrope') {
    const { short, long, magnitude } = scaling;
    const factors = maxSeq > scaling.originalContext ? long : short;
    return { ...config, ropeScaling: { kind: 'factors', factors, magnitude } };
  }
  return config;
}

/** The angles per position of this config, with its scaling worked in. */
export function ropeSpec(config: RopeConfig & { readonly maxContext: number }): RopeSpec {
  const { ropeBase, ropeDim, ropeScaling: scaling } = config;
  const plain = ropeFrequencies(ropeBase, ropeDim);
  switch (scaling.kind) {
    case 'none':
      return { frequencies: plain, magnitude: 1 };
    case 'linear':
      return { frequencies: scaleLinear(plain, scaling.factor), magnitude: 1 };
    case 'llama3':
      return { frequencies: scaleLlama3(plain, scaling), magnitude: 1 };
    case 'factors':
      return { frequencies: divideFrequencies(plain, scaling.factors), magnitude: scaling.magnitude ?? 1 };
    case 'yarn':
      return { frequencies: scaleYarn(ropeBase, ropeDim, scaling), magnitude: scaling.magnitude };
    case 'dynamic':
    case 'longrope':
      return ropeSpec(ropeAt(config));
    default:
      return scaling satisfies never;
  }
}

/** The lines that "inspect" has about a window; nLayers: of the layers that have it. */
export function windowFact(config: { readonly window?: number }, nLayers: number): [name: string, text: string][] {
  if (config.window === undefined) return [];
  return [['window', `${config.window} positions, in ${nLayers} ${nLayers === 1 ? 'layer' : 'layers'}`]];
}

/** The line that "inspect" has about it. */
export function ropeFact({ ropeBase, ropeDim, ropeLayout, ropeScaling }: RopeConfig): [name: string, text: string] {
  return ['rope', `base ${ropeBase}, ${ropeDim} of each head, ${ropeLayout}, scaling ${ropeScaling.kind}`];
}

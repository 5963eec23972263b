import { UnsupportedError } from '../core/errors.ts';
import { getCount, getNumber, getString, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import { yarnMagnitude } from '../ops/rope_scaling.ts';
import type { RopeScaling } from './rope_config.ts';

/** Of YaRN's paper; no key, or an own one in newer files. */
const YARN_BETA_FAST = 32;
const YARN_BETA_SLOW = 1;

/**
 * How a GGUF file says that its rope is scaled, keys `<architecture>.rope.scaling.*`. A factor without a type is linear, and one
 * beside the type "none" has no effect.
 * Source: llama.cpp, src/llama-model.cpp (keys, what a missing one means) and src/llama-context.cpp.
 */
export function scalingKind(meta: Metadata, architecture: string): string {
  const stated = getString(meta, `${architecture}.rope.scaling.type`);
  if (stated !== undefined) return stated;
  const factor = factorOf(meta, architecture) ?? 1;
  return factor === 0 || factor === 1 ? 'none' : 'linear';
}

/** Under its name, or under that of the first files. */
function factorOf(meta: Metadata, architecture: string): number | undefined {
  return getNumber(meta, `${architecture}.rope.scaling.factor`) ?? getNumber(meta, `${architecture}.rope.scale_linear`);
}

/** Throws UnsupportedError where a file scales its rope: for architectures none of whose models was published with it. */
export function refuseGgufRopeScaling(meta: Metadata, architecture: string): void {
  const kind = scalingKind(meta, architecture);
  if (kind === 'none') return;
  const factor = factorOf(meta, architecture);
  throw new UnsupportedError(
    `${architecture}.rope.scaling.type is "${kind}"${factor === undefined ? '' : `, its factor ${factor}`}; ${architecture} is run with none`,
  );
}

/**
 * The scaling of a file of the Llama family. factors: the values of the tensor rope_freqs.weight, where it has one.
 * Throws UnsupportedError for a kind or a combination by name, ConfigError for a missing key.
 */
export function ropeScalingFromGguf(
  meta: Metadata,
  architecture: string,
  factors: readonly number[] | undefined,
): RopeScaling {
  const key = (name: string): string => `${architecture}.rope.scaling.${name}`;
  const kind = scalingKind(meta, architecture);
  if (factors !== undefined && kind !== 'none') {
    throw new UnsupportedError(`rope_freqs.weight together with ${kind} rope scaling; a model has one of them`);
  }
  if (kind === 'yarn') return yarn(meta, architecture);
  const magnitude = getNumber(meta, key('attn_factor')) ?? 1;
  if (magnitude !== 1) {
    throw new UnsupportedError(
      `${key('attn_factor')} is ${magnitude} together with ${kind} rope scaling; it is known with yarn and longrope`,
    );
  }
  if (kind === 'linear') {
    return { kind: 'linear', factor: factorOf(meta, architecture) ?? needNumber(meta, key('factor')) };
  }
  if (kind !== 'none') {
    throw new UnsupportedError(
      `${key('type')} is "${kind}"; known are none, linear, yarn and the tensor rope_freqs.weight`,
    );
  }
  return factors === undefined ? { kind: 'none' } : { kind: 'factors', factors };
}

function yarn(meta: Metadata, architecture: string): RopeScaling {
  const key = (name: string): string => `${architecture}.rope.scaling.${name}`;
  const logMultiplier = getNumber(meta, key('yarn_log_multiplier')) ?? 0;
  if (logMultiplier !== 0) {
    throw new UnsupportedError(
      `${key('yarn_log_multiplier')} is ${logMultiplier}; this architecture is run without it`,
    );
  }
  const factor = needNumber(meta, key('factor'));
  return {
    kind: 'yarn',
    factor,
    originalContext:
      getCount(meta, key('original_context_length')) ?? needCount(meta, `${architecture}.context_length`),
    betaFast: getNumber(meta, key('yarn_beta_fast')) ?? YARN_BETA_FAST,
    betaSlow: getNumber(meta, key('yarn_beta_slow')) ?? YARN_BETA_SLOW,
    magnitude: (getNumber(meta, key('attn_factor')) ?? 1) * yarnMagnitude(factor),
  };
}

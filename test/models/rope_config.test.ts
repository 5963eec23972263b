import { describe, expect, test } from 'vitest';
import type { MetaValue } from '../../src/core/metadata.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import { llamaConfigFromGguf } from '../../src/models/llama_gguf.ts';
import { llamaConfigFromHf } from '../../src/models/llama_hf.ts';
import { ropeAt, ropeSpec } from '../../src/models/rope_config.ts';
import { dynamicNtkBase, yarnMagnitude } from '../../src/ops/rope_scaling.ts';
import { ropeFrequencies } from '../../src/ops/rope_table.ts';
import { hfSizes } from '../support/hf_folders.ts';

/** What files say about scalings of the rope, and what becomes of it. */

const hf = (rope: JsonObject, more: JsonObject = {}) =>
  llamaConfigFromHf({ ...hfSizes('grouped'), model_type: 'llama', rope_scaling: rope, ...more });

const gguf = (keys: Readonly<Record<string, MetaValue>>) =>
  llamaConfigFromGguf(
    new Map<string, MetaValue>(
      Object.entries({
        'llama.context_length': 128,
        'llama.embedding_length': 96,
        'llama.feed_forward_length': 160,
        'llama.block_count': 2,
        'llama.attention.head_count': 6,
        'llama.attention.layer_norm_rms_epsilon': 1e-5,
        'llama.vocab_size': 53,
        ...Object.fromEntries(Object.entries(keys).map(([key, value]) => [`llama.rope.${key}`, value])),
      }),
    ),
    undefined,
  );

describe('yarn', () => {
  test('config.json: what is not said is as in the paper; the context grows by the factor', () => {
    const config = hf({ rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 });
    expect(config.maxContext).toBe(256);
    expect(config.ropeScaling).toEqual({
      kind: 'yarn',
      factor: 4,
      originalContext: 64,
      betaFast: 32,
      betaSlow: 1,
      magnitude: yarnMagnitude(4),
    });
    expect(hf({ type: 'yarn', factor: 4 })).toMatchObject({ maxContext: 512, ropeScaling: { originalContext: 128 } });
    expect(hf({ type: 'yarn', factor: 1.5, original_max_position_embeddings: 64 }).maxContext).toBe(128);
  });

  test('config.json: what is said', () => {
    const said = { rope_type: 'yarn', factor: 4, beta_fast: 16, beta_slow: 2 };
    expect(hf({ ...said, attention_factor: 1.5 }).ropeScaling).toMatchObject({
      betaFast: 16,
      betaSlow: 2,
      magnitude: 1.5,
    });
    const ratio = yarnMagnitude(4, 0.7) / yarnMagnitude(4, 1.3);
    expect(hf({ ...said, mscale: 0.7, mscale_all_dim: 1.3 }).ropeScaling).toMatchObject({ magnitude: ratio });
  });

  test('GGUF keys', () => {
    const yarn = { 'scaling.type': 'yarn', 'scaling.factor': 8 };
    expect(gguf(yarn).ropeScaling).toEqual({
      kind: 'yarn',
      factor: 8,
      originalContext: 128,
      betaFast: 32,
      betaSlow: 1,
      magnitude: yarnMagnitude(8),
    });
    const more = { 'scaling.original_context_length': 16, 'scaling.attn_factor': 0.5, 'scaling.yarn_beta_fast': 20 };
    expect(gguf({ ...yarn, ...more }).ropeScaling).toMatchObject({
      originalContext: 16,
      betaFast: 20,
      magnitude: 0.5 * yarnMagnitude(8),
    });
  });

  test.each([
    [() => hf({ type: 'yarn' }), /factor is missing/],
    [() => hf({ type: 'yarn', factor: 0 }), /rope scaling factor is 0/],
    [() => hf({ type: 'yarn', factor: 4, truncate: false }), /truncate is false; yarn is run with true/],
    [() => hf({ type: 'yarn', factor: 4, beta_slow: 40 }), /beta_slow is 40, must be above 0 and at most beta_fast=32/],
    [() => hf({ type: 'yarn', factor: 4, attention_factor: -1 }), /magnitude is -1/],
    [() => hf({ type: 'yarn', factor: 4 }, { rope_theta: 1 }), /ropeBase is 1, must be above 1 for yarn/],
    [() => gguf({ 'scaling.type': 'yarn' }), /rope\.scaling\.factor" is missing/],
    [() => gguf({ 'scaling.type': 'yarn', 'scaling.factor': 2, 'scaling.yarn_log_multiplier': 0.1 }), /log_multiplier/],
  ])('refused: %#', (read, message) => expect(read).toThrow(message));
});

describe('dynamic', () => {
  const config = hf({ type: 'dynamic', factor: 2 });

  test('the context grows by the factor; the base follows from the longest sequence', () => {
    expect(config).toMatchObject({ maxContext: 256, ropeScaling: { kind: 'dynamic', originalContext: 128 } });
    const scaling = { factor: 2, originalContext: 128 };
    for (const maxSeq of [64, 128, 129, 200, 256]) {
      const base = dynamicNtkBase(10000, 16, scaling, maxSeq);
      expect(ropeSpec(ropeAt(config, maxSeq)).frequencies).toEqual(ropeFrequencies(base, 16));
    }
    expect(ropeSpec(config), 'where nothing is said').toEqual(ropeSpec(ropeAt(config, 256)));
    expect(ropeSpec(ropeAt(config, 128)).frequencies).toEqual(ropeFrequencies(10000, 16));
  });

  test.each([
    [() => hf({ type: 'dynamic' }), /factor is missing/],
    [() => hf({ type: 'dynamic', factor: 0.5 }), /factor is 0\.5, must be at least 1/],
    [() => hf({ type: 'dynamic', factor: 2 }, { head_dim: 2 }), /ropeDim is 2, must be above 2/],
  ])('refused: %#', (read, message) => expect(read).toThrow(message));
});

describe('longrope', () => {
  const short = [1, 1, 1.5, 2, 1, 1, 1, 1];
  const long = [1, 2, 3, 4, 5, 6, 7, 8];
  const rope: JsonObject = { type: 'longrope', short_factor: short, long_factor: long };
  const more: JsonObject = { original_max_position_embeddings: 32 };

  test('longer sequences than those of the first training have other factors, for all of their positions', () => {
    const config = hf(rope, more);
    const plain = ropeFrequencies(10000, 16);
    expect(config.maxContext).toBe(128);
    const magnitude = Math.sqrt(1 + Math.log(4) / Math.log(32)); // ln 4 / ln 32 = 2 / 5
    for (const [maxSeq, factors] of [
      [32, short],
      [33, long],
      [undefined, long],
    ] as const) {
      const spec = ropeSpec(ropeAt(config, maxSeq));
      expect(spec.frequencies).toEqual(plain.map((f, i) => f / factors[i]!));
      expect(Math.abs(spec.magnitude - magnitude)).toBeLessThanOrEqual(2 ** -50);
    }
    expect(hf({ ...rope, type: 'su' }, more)).toEqual(config);
    expect(hf({ ...rope, attention_factor: 1.25 }, more).ropeScaling).toMatchObject({ magnitude: 1.25 });
  });

  test.each([
    [() => hf({ ...rope, long_factor: [1] }, more), /number of long rope factors is 1, must be ropeDim \/ 2 = 8/],
    [() => hf({ ...rope, short_factor: 2 }, more), /short_factor is 2, expected an array of numbers/],
    [() => hf({ ...rope, short_factor: [...short.slice(1), 0] }, more), /short rope factor is 0/],
    [() => hf({ type: 'longrope', short_factor: short }, more), /long_factor is undefined, expected an array/],
  ])('refused: %#', (read, message) => expect(read).toThrow(message));
});

import { describe, expect, test } from 'vitest';
import { UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import { describeGguf } from '../../src/models/architectures.ts';
import { bertConfigFromHf } from '../../src/models/bert_config.ts';
import { clipConfigFromHf } from '../../src/models/clip_config.ts';
import { modernBertConfigFromHf } from '../../src/models/modern_bert_config.ts';
import { nomicBertConfigFromHf } from '../../src/models/nomic_bert_config.ts';
import { t5ConfigFromHf } from '../../src/models/t5_config.ts';
import { vitConfigFromHf } from '../../src/models/vit_config.ts';
import { fileOfCase } from '../support/architecture_cases.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes } from '../support/hf_folders.ts';

/** Settings of other families in a file of one that knows none of them. */

describe.each(['llama', 'qwen2', 'qwen3', 'olmo2', 'smollm3', 'phi3'] as const)('%s', async (architecture) => {
  const bytes = fileOfCase({ architecture, layout: 'own kv heads', format: 'f32', seed: 1 });
  const file = await openGguf(bufferSource('random.gguf', bytes));
  const describeWith = (name: string, value: number | boolean) =>
    describeGguf({ ...file, metadata: new Map([...file.metadata, [`${architecture}.${name}`, value]]) });

  test.each([
    ['attention.scale', 0.125],
    ['attention.clamp_kqv', 8],
    ['attention.causal', false],
    ['final_logit_softcapping', 30],
    ['residual_scale', 0.22],
    ['logit_scale', 0.5],
  ])('%s %s', (name, value) =>
    expect(describeWith(name, value)).rejects.toMatchObject({
      name: 'UnsupportedError',
      message: `${architecture}.${name} is ${value}; this architecture is run without it`,
    }),
  );

  test('values that change nothing are taken', async () => {
    for (const [name, value] of [
      ['attention.clamp_kqv', 0],
      ['attention.causal', true],
      ['logit_scale', 1],
    ] as const) {
      await describeWith(name, value);
    }
  });
});

/** Those that read a cap or a residual of their own refuse what they do not read. */
test.each([
  ['gpt2', 'attention.max_alibi_bias', 8],
  ['gpt2', 'use_parallel_residual', true],
  ['gptneox', 'attention.clamp_kqv', 8],
  ['gptneox', 'rope.scaling.factor', 4],
  ['falcon', 'attention.max_alibi_bias', 8],
  ['falcon', 'rope.scale_linear', 4],
  ['gemma', 'attention.scale', 0.5],
  ['gemma2', 'logit_scale', 0.5],
  ['gemma3', 'embedding_scale', 2],
  ['deepseek2', 'residual_scale', 0.5],
] as const)('%s refuses %s', async (architecture, name, value) => {
  const bytes = fileOfCase({ architecture, layout: 'own kv heads', format: 'f32', seed: 1 });
  const file = await openGguf(bufferSource('random.gguf', bytes));
  await describeGguf(file);
  const metadata = new Map([...file.metadata, [`${architecture}.${name}`, value] as const]);
  await expect(describeGguf({ ...file, metadata })).rejects.toMatchObject({ name: 'UnsupportedError' });
});

describe.each(['llama', 'qwen2', 'smollm3'] as const)('config.json of %s', (architecture) => {
  const config = { ...hfSizes('grouped'), model_type: architecture };
  test.each([
    ['attention_multiplier', 0.125],
    ['clip_qkv', 8],
    ['num_experts', 4],
    ['residual_multiplier', 0.22],
  ])('%s %s', async (key, value) => {
    const { tensors } = await ggufAndFolderTensors(architecture, 'grouped');
    await expect(describeFolder({ ...config, [key]: value }, tensors)).rejects.toMatchObject({
      name: 'UnsupportedError',
      message: `config.json: ${key} is ${value}; this architecture is run without it`,
    });
    await describeFolder({ ...config, [key]: null }, tensors);
  });
});

/** Encoders, models that see and encoder-decoders read config.json files too. */
test.each([
  ['bert', bertConfigFromHf, {}],
  ['distilbert', bertConfigFromHf, {}],
  ['nomic_bert', nomicBertConfigFromHf, {}],
  ['modernbert', modernBertConfigFromHf, {}],
  ['vit', vitConfigFromHf, { model_type: 'vit', architectures: ['ViTForImageClassification'] }],
  ['clip', clipConfigFromHf, { model_type: 'clip', architectures: ['CLIPModel'] }],
  ['t5', t5ConfigFromHf, { model_type: 't5', architectures: ['T5ForConditionalGeneration'] }],
] as const)('config.json of %s', (modelType, read: (config: JsonObject) => unknown, config: JsonObject) => {
  expect(() => read({ ...config, model_type: modelType, num_experts: 8 })).toThrow(
    new UnsupportedError('config.json: num_experts is 8; this architecture is run without it'),
  );
});

test('each tower of a clip', () => {
  const clip = { model_type: 'clip', architectures: ['CLIPModel'] };
  for (const tower of ['text_config', 'vision_config']) {
    expect(() => clipConfigFromHf({ ...clip, [tower]: { logit_scale: 2 } })).toThrow(UnsupportedError);
  }
  expect(clipConfigFromHf(clip).vectorDim).toBe(512);
});

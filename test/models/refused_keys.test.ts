import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { describeGguf } from '../../src/models/architectures.ts';
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

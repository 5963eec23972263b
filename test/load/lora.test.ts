import { describe, expect, test } from 'vitest';
import { isGlassformerError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { withAdapters } from '../../src/engine/adapters.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { ModelSource } from '../../src/engine/model_source.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { describeGguf } from '../../src/models/architectures.ts';
import { fileOfCase } from '../support/architecture_cases.ts';
import { HOST } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes } from '../support/hf_folders.ts';
import {
  type Adapter,
  fileSource,
  folderSource,
  ggufLora,
  loraMetadata,
  peftFiles,
  randomPair,
} from '../support/lora_cases.ts';
import { folderOf, watch } from './sources.ts';

/** What is refused of adapters, by name: on a model of dim 72. */

const MODEL = fileOfCase({ architecture: 'llama', layout: 'own kv heads', format: 'f32', seed: 5 });
const gguf = await describeGguf(await openModelFile(bufferSource('model.gguf', MODEL)));
const layout = 'own kv heads';
const FALCON = fileOfCase({ architecture: 'falcon', layout, format: 'f32', seed: 5 });
const falcon = await describeGguf(await openModelFile(bufferSource('falcon.gguf', FALCON)));
const folder = await describeFolder(
  { ...hfSizes(layout), model_type: 'llama', rope_theta: 10000, hidden_act: 'silu' },
  (await ggufAndFolderTensors('llama', layout)).tensors,
);

const Q = 'blk.0.attn_q.weight';
const HF_Q = 'model.layers.0.self_attn.q_proj.weight';
const one = (name: string, pair = randomPair(4, 72, 72, 1)): Adapter => new Map([[name, pair]]);
const metadata = (changes: Record<string, unknown>) =>
  loraMetadata('llama', 8).flatMap((entry) => {
    if (!(entry[0] in changes)) return [entry];
    const value = changes[entry[0]];
    return value === undefined ? [] : [[entry[0], entry[1], value] as unknown as typeof entry];
  });

describe('a GGUF adapter', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['a model', MODEL, /general\.type is "model", expected "adapter"; give it as --model/],
    [
      'another kind',
      ggufLora(one(Q), { metadata: metadata({ 'adapter.type': 'ia3' }) }),
      /adapter\.type is "ia3"; known is "lora"/,
    ],
    [
      'no alpha',
      ggufLora(one(Q), { metadata: metadata({ 'adapter.lora.alpha': undefined }) }),
      /"adapter\.lora\.alpha" is missing/,
    ],
    ['alpha 0', ggufLora(one(Q), { alpha: 0 }), /adapter\.lora\.alpha is 0, must be a positive number/],
    ['alpha NaN', ggufLora(one(Q), { alpha: NaN }), /adapter\.lora\.alpha is NaN, must be a positive number/],
    [
      'a key that is not known',
      ggufLora(one(Q), { metadata: [...loraMetadata('llama', 8), ['adapter.alora.invocation_tokens', 'u32', 1]] }),
      /has "adapter\.alora\.invocation_tokens", which this engine does not know/,
    ],
    [
      'another architecture',
      ggufLora(one(Q), { architecture: 'qwen2' }),
      /general\.architecture is "qwen2", the model's is "llama"/,
    ],
    [
      'a weight that is not there',
      ggufLora(one('blk.7.attn_q.weight')),
      /changes "blk\.7\.attn_q\.weight", which the model llama has not/,
    ],
    [
      'another width',
      ggufLora(one(Q, randomPair(4, 64, 72, 1))),
      /is \[72, 72\] in the model, the adapter's B A is \[72, 64\]/,
    ],
    ['a norm', ggufLora(one('blk.0.attn_norm.weight')), /"blk\.0\.attn_norm\.weight" is \[72\] in the model/],
    ['no tensors', ggufLora(new Map()), /has no tensors, so it changes nothing/],
    [
      'half a pair',
      writeGguf({
        metadata: loraMetadata('llama', 8),
        tensors: [{ name: `${Q}.lora_a`, type: 'f32', shape: [1, 1], bytes: new Uint8Array(4) }],
      }),
      /"blk\.0\.attn_q\.weight" has a matrix A and no B; the file is not complete/,
    ],
    [
      'ranks that do not meet',
      writeGguf({
        metadata: loraMetadata('llama', 8),
        tensors: [
          { name: `${Q}.lora_a`, type: 'f32', shape: [2, 1], bytes: new Uint8Array(8) },
          { name: `${Q}.lora_b`, type: 'f32', shape: [1, 3], bytes: new Uint8Array(12) },
        ],
      }),
      /A is \[2, 1\] and B \[1, 3\]; expected \[rank, in\] and \[out, rank\]/,
    ],
    [
      'another tensor',
      writeGguf({
        metadata: loraMetadata('llama', 8),
        tensors: [{ name: `${Q}.lora_m`, type: 'f32', shape: [1], bytes: new Uint8Array(4) }],
      }),
      /tensor "blk\.0\.attn_q\.weight\.lora_m" is no half of a LoRA pair/,
    ],
  ];
  test.each(cases)('%s', async (_, bytes, message) => {
    await expect(withAdapters(gguf, [{ open: fileSource(bytes) }], false)).rejects.toThrow(message);
  });

  test('for a table of embeddings is refused when the graph is known, merged too', async () => {
    const open = fileSource(ggufLora(one('token_embd.weight', randomPair(2, 72, 320, 1))));
    for (const isMerged of [false, true]) {
      const { description } = await withAdapters(gguf, [{ open }], isMerged);
      expect(() => description.buildGraph('f32')).toThrow(/token_embd\.weight is read by embed/);
    }
  });

  test('for a folder, and one of PEFT for a GGUF file whose rows may be in another order', async () => {
    const onFolder = withAdapters(folder, [{ open: fileSource(ggufLora(one(Q))) }], false);
    await expect(onFolder).rejects.toThrow(
      /is an adapter in GGUF, the model is a Hugging Face folder; give the model as a GGUF file/,
    );
    await expect(withAdapters(falcon, [{ open: folderSource(peftFiles(one(HF_Q))) }], false)).rejects.toThrow(
      /of a Hugging Face folder, the model is falcon in GGUF, whose order of rows is not known; give .* as its folder/,
    );
    const missing = folderSource(peftFiles(one('model.layers.0.mlp.gate.weight')));
    await expect(withAdapters(gguf, [{ open: missing }], false)).rejects.toThrow(/which the model llama has not/);
  });

  test('with a factor beyond f32, or a scale that is no number', async () => {
    const open = fileSource(ggufLora(one(Q)));
    await expect(withAdapters(gguf, [{ open, scale: 1e39 }], false)).rejects.toThrow(
      /scale 1e\+39 makes a factor of Infinity/,
    );
    const source = { kind: 'file' as const, source: bufferSource('model.gguf', MODEL) };
    await expect(loadModel(source, HOST, { lora: [{ open, scale: NaN }] })).rejects.toThrow(
      'lora: scale is NaN, must be a number',
    );
    await expect(loadModel(source, HOST, { loraMerge: true })).rejects.toThrow(
      'lora-merge is asked for and no adapter is given',
    );
  });
});

describe('a folder of PEFT', () => {
  test('runs with its default config', async () => {
    const { description } = await withAdapters(folder, [{ open: folderSource(peftFiles(one(HF_Q))) }], false);
    expect(description.buildGraph('f32').nodes.filter(({ name }) => name.includes('.lora0.')).length).toBe(3);
  });

  const cases: [string, object, RegExp][] = [
    ['another method', { peft_type: 'IA3' }, /adapter_config\.json: peft_type is "IA3"; known is "LORA"/],
    ['DoRA', { use_dora: true }, /use_dora is true, which cannot be run/],
    ['biases', { bias: 'all' }, /bias is "all"; only "none" can be run/],
    ['whole modules', { modules_to_save: ['lm_head'] }, /modules_to_save is \["lm_head"\], which cannot be run/],
    ['an alpha for each module', { alpha_pattern: { q_proj: 2 } }, /alpha_pattern is .*, which cannot be run/],
    ['biases of the pairs', { lora_bias: true }, /lora_bias is true, which cannot be run/],
    ['what nobody knows yet', { use_new: 3 }, /use_new is 3, which cannot be run/],
    [
      'another start',
      { init_lora_weights: 'pissa' },
      /init_lora_weights is "pissa", which changes the model's own weights/,
    ],
    ['no alpha', { lora_alpha: undefined }, /lora_alpha is undefined, must be a number/],
    ['alpha 0', { lora_alpha: 0 }, /lora_alpha is 0, must be a positive number/],
    ['another rank', { r: 8 }, /has rank 4, adapter_config\.json says r = 8 and has no rank_pattern/],
    ['a switch that is a word', { use_rslora: 'yes' }, /use_rslora is "yes", must be true or false/],
  ];
  test.each(cases)('with %s', async (_, config, message) => {
    const open = folderSource(peftFiles(one(HF_Q), config));
    await expect(withAdapters(folder, [{ open }], false)).rejects.toThrow(message);
  });

  test('with a tensor of another kind, or for a weight that the model has not', async () => {
    const files = (name: string) => ({
      ...peftFiles(one(HF_Q)),
      'adapter_model.safetensors': writeSafetensors([{ name, shape: [1], dtype: 'F32', data: new Float32Array(1) }]),
    });
    const magnitude = 'base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector';
    await expect(withAdapters(folder, [{ open: folderSource(files(magnitude)) }], false)).rejects.toThrow(
      /lora_magnitude_vector" is no half of a LoRA pair/,
    );
    const missing = folderSource(peftFiles(one('model.layers.9.self_attn.q_proj.weight')));
    await expect(withAdapters(folder, [{ open: missing }], false)).rejects.toThrow(
      /layers\.9\.self_attn\.q_proj\.weight", which the model llama has not/,
    );
  });

  test('for a tensor that the folder has in another layout', async () => {
    const { tensors } = await ggufAndFolderTensors('gemma', 'own kv heads');
    const gemma = await describeFolder(
      {
        ...hfSizes(layout),
        model_type: 'gemma',
        tie_word_embeddings: true,
        head_dim: 12,
        hidden_activation: 'gelu_pytorch_tanh',
      },
      tensors,
    );
    const open = folderSource(peftFiles(one('model.layers.0.input_layernorm.weight')));
    await expect(withAdapters(gemma, [{ open }], false)).rejects.toThrow(
      /input_layernorm\.weight", which the model gemma has not, or not in the adapter's layout/,
    );
  });

  test('that is not complete', async () => {
    const { 'adapter_config.json': config, 'adapter_model.safetensors': weights } = peftFiles(one(HF_Q));
    const files = (given: Record<string, Uint8Array>) => withAdapters(folder, [{ open: folderSource(given) }], false);
    await expect(files({ 'adapter_config.json': config! })).rejects.toThrow(/has no adapter_model\.safetensors/);
    await expect(files({ 'adapter_model.safetensors': weights! })).rejects.toThrow(
      /has no adapter_config\.json beside it/,
    );
  });
});

describe('damaged files', () => {
  const whole = ggufLora(one(Q, randomPair(2, 72, 72, 1)));
  const files = peftFiles(one(HF_Q));

  /** Throws what is no typed error; says whether it was refused. */
  async function isRefused(run: () => Promise<unknown>): Promise<boolean> {
    try {
      await run();
      return false;
    } catch (e) {
      if (!isGlassformerError(e)) throw e;
      return true;
    }
  }

  test('cut anywhere, they are refused with a typed error', async () => {
    const weights = files['adapter_model.safetensors']!;
    let nCuts = 0;
    for (let cut = 0; cut < 1; cut += 1 / 150) {
      const short = whole.subarray(0, Math.floor(cut * (whole.length - 32))); // the last 32 may be padding
      expect(await isRefused(() => withAdapters(gguf, [{ open: fileSource(short) }], false)), `${short.length}`).toBe(
        true,
      );
      const other = { ...files, 'adapter_model.safetensors': weights.subarray(0, Math.floor(cut * weights.length)) };
      expect(await isRefused(() => withAdapters(folder, [{ open: folderSource(other) }], false))).toBe(true);
      nCuts++;
    }
    expect(nCuts).toBeGreaterThanOrEqual(150);
  });

  test('with a byte changed, they run or are refused with a typed error', async () => {
    let nRefused = 0;
    for (let at = 0; at < 420; at++) {
      const bytes = whole.slice();
      bytes[at] = bytes[at]! ^ (1 << (at % 8));
      const run = async (): Promise<void> => {
        const { description } = await withAdapters(gguf, [{ open: fileSource(bytes) }], false);
        description.buildGraph('f32');
      };
      if (await isRefused(run)) nRefused++;
    }
    expect(nRefused).toBeGreaterThan(150);
  });

  test('nothing stays open: neither the adapters nor the model', async () => {
    const good = watch(bufferSource('good.gguf', ggufLora(one(Q))));
    const bad = watch(bufferSource('bad.gguf', ggufLora(one('blk.9.attn_q.weight'))));
    const peft = folderOf(files);
    const source = watch(bufferSource('model.gguf', MODEL));
    const opens = (from: ModelSource) => ({ open: async () => from });
    const lora = [opens({ kind: 'file', source: good }), opens({ kind: 'file', source: bad })];
    await expect(loadModel({ kind: 'file', source }, HOST, { lora })).rejects.toThrow('blk.9');
    await expect(withAdapters(falcon, [opens({ kind: 'folder', folder: peft })], false)).rejects.toThrow(
      'falcon in GGUF',
    );
    expect([good, bad, source, ...peft.opened].map(({ isClosed }) => isClosed)).toEqual(Array(5).fill(true));

    const again = watch(bufferSource('good.gguf', ggufLora(one(Q))));
    const model = await loadModel({ kind: 'file', source: bufferSource('model.gguf', MODEL) }, HOST, {
      lora: [opens({ kind: 'file', source: again })],
    });
    expect(again.isClosed).toBe(false);
    await model.dispose();
    expect(again.isClosed).toBe(true);
  });
});

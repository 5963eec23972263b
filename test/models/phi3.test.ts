import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import { describeGguf } from '../../src/models/architectures.ts';
import { countOp } from '../graph/mutants.ts';
import { fileOfCase } from '../support/architecture_cases.ts';
import { firstDifference, HOST } from '../support/executors.ts';
import { describeFolder, ggufAndFolderTensors, hfSizes, USUAL_PARTS } from '../support/hf_folders.ts';

const BYTES = fileOfCase({ architecture: 'phi3', layout: 'grouped', format: 'f32', seed: 1 });
const FILE = await openGguf(bufferSource('phi3.gguf', BYTES));

describe('a folder', () => {
  const { attn_q: _q, attn_k: _k, attn_v: _v, ffn_gate: _gate, ...others } = USUAL_PARTS;
  const PARTS = { ...others, attn_qkv: 'self_attn.qkv_proj', ffn_up: 'mlp.gate_up_proj' };
  const factors = [1, 1.5, 2, 2.5, 3, 3.5];
  const PHI3: JsonObject = {
    ...hfSizes('grouped'),
    model_type: 'phi3',
    partial_rotary_factor: 0.75,
    original_max_position_embeddings: 64,
    sliding_window: 128,
    rope_scaling: {
      type: 'longrope',
      short_factor: factors.map(() => 1),
      long_factor: factors,
      attention_factor: 1.25,
    },
  };

  test('has the graph of a GGUF file, but for the factors', async () => {
    const { gguf, tensors } = await ggufAndFolderTensors('phi3', 'grouped', PARTS);
    const folder = await describeFolder(PHI3, tensors);
    const { ropeScaling, ...config } = folder.config as never as Record<string, unknown>;
    expect(gguf.config).toMatchObject(config);
    expect(ropeScaling).toMatchObject({ kind: 'longrope', originalContext: 64, magnitude: 1.25, long: factors });
    expect(folder.buildGraph('q8').nodes).toEqual(gguf.buildGraph('q8').nodes);
  });

  test.each([
    [{ sliding_window: -1 }, 'ConfigError', /sliding window is -1/],
    [{ partial_rotary_factor: 2 }, 'ConfigError', /ropeDim is 32/],
    [{ rope_scaling: { type: 'longrope' } }, 'ConfigError', /short_factor is undefined/],
  ])('config.json with %o: %s', async (changes, name, message) => {
    const { tensors } = await ggufAndFolderTensors('phi3', 'grouped', PARTS);
    await expect(describeFolder({ ...PHI3, ...changes } as JsonObject, tensors)).rejects.toMatchObject({
      name,
      message: expect.stringMatching(message),
    });
  });

  test('projections that are apart have no place', async () => {
    const { tensors } = await ggufAndFolderTensors('phi3', 'grouped', PARTS);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const more = new Map(tensors).set(name, tensors.get('model.norm.weight')!);
    await expect(describeFolder(PHI3, more)).rejects.toThrow(`tensor ${name} has no place in a phi3 model`);
  });
});

describe('a GGUF file', () => {
  const withKeys = (changes: Readonly<Record<string, MetaValue | undefined>>) => {
    const pairs = Object.entries({ ...Object.fromEntries(FILE.metadata), ...changes });
    return { ...FILE, metadata: new Map(pairs.filter((pair): pair is [string, MetaValue] => pair[1] !== undefined)) };
  };

  test('with one of the two tensors of factors is refused', async () => {
    for (const name of ['rope_factors_long.weight', 'rope_factors_short.weight']) {
      const tensors = new Map([...FILE.tensors].filter(([other]) => other !== name));
      await expect(describeGguf({ ...FILE, tensors })).rejects.toThrow(`tensor ${name} is missing`);
    }
  });

  test.each([
    [{ 'phi3.rope.scaling.original_context_length': undefined }, /original_context_length" is missing/],
    [{ 'phi3.rope.scaling.type': 'yarn' }, /phi3\.rope\.scaling\.type is "yarn" together with rope_factors_long/],
  ])('with %o is refused', async (changes, message) => {
    await expect(describeGguf(withKeys(changes))).rejects.toThrow(message);
  });

  test('with a window has it in every layer', async () => {
    const graph = (await describeGguf(withKeys({ 'phi3.attention.sliding_window': 8 }))).buildGraph('f32');
    const attention = graph.nodes.filter(({ op }) => op === 'attend_scores' || op === 'softmax' || op === 'attend_mix');
    for (const node of attention) expect(node).toMatchObject({ window: 8 });
    const plain = (await describeGguf(withKeys({ 'phi3.attention.sliding_window': 4096 }))).buildGraph('f32');
    for (const node of plain.nodes) expect(node).not.toHaveProperty('window');
  });

  test('without factors has plain angles', async () => {
    const tensors = new Map([...FILE.tensors].filter(([name]) => !name.startsWith('rope_factors')));
    const { metadata } = withKeys({ 'phi3.rope.scaling.attn_factor': undefined });
    const { config } = await describeGguf({ ...FILE, metadata, tensors });
    expect(config).toMatchObject({ ropeScaling: { kind: 'none' } });
  });

  test('the halves of the feed-forward are multiplied where they lie', async () => {
    const graph = optimize((await describeGguf(FILE)).buildGraph('q8'));
    expect([countOp(graph, 'swiglu'), countOp(graph, 'silu'), countOp(graph, 'concat_weights')]).toEqual([6, 0, 0]);
  });
});

test('sequences that cannot be long have the angles of short ones, and a session of other angles is not taken', async () => {
  const load = (maxSeq: number) =>
    loadModel({ kind: 'file', source: bufferSource('phi3.gguf', BYTES), folder: undefined }, HOST, { maxSeq });
  await using short = await load(64);
  await using shorter = await load(20);
  await using long = await load(65);
  const ids = [1, 77, 130, 299, 300];
  const [a, b, c] = await Promise.all([short, shorter, long].map(async (model) => (await model.logits(ids)).data));
  expect(firstDifference(a!, b!)).toBeUndefined();
  expect(firstDifference(a!, c!)).toBeDefined();

  using session = short.createSession();
  await session.append(ids);
  const chunks: Uint8Array[] = [];
  for await (const chunk of session.save()) chunks.push(chunk.slice());
  const saved = new Uint8Array(Buffer.concat(chunks));
  const source = bufferSource('session', saved);
  const { session: again } = await shorter.restoreSession(source);
  again.dispose();
  await expect(long.restoreSession(source)).rejects.toThrow(/is a session of the model/);
});

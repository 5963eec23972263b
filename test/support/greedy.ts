import type { LoadOptions } from '../../src/engine/options.ts';
import { loadModel } from '../../src/index.node.ts';
import { argmax } from './architecture_cases.ts';
import { BUILDS } from './executors.ts';

/**
 * Real models against answers that other programs computed (their READMEs say how). Where weights are quantized the stored
 * ids come from float64 arithmetic on the unpacked weights, so activations stay f32 here.
 */
export const NAIVE_TIERS: readonly LoadOptions[] = [{ executor: 'naive64' }, { executor: 'naive', activations: 'f32' }];
export const WASM_TIERS: readonly LoadOptions[] = BUILDS.map((kernels) => {
  return { executor: 'wasm', kernels, activations: 'f32' };
});

export const tierName = (o: LoadOptions): string => `${o.executor} ${o.kernels ?? ''}`.trim();

/** As rows of test.each. */
export const named = (tiers: readonly LoadOptions[]) => tiers.map((o) => [tierName(o), o] as const);

export interface Generated {
  readonly ids: number[];
  readonly text: string;
}

/** What a model writes at temperature 0, one token at a time. */
export async function greedy(
  path: string,
  options: LoadOptions,
  ids: readonly number[],
  maxTokens: number,
): Promise<Generated> {
  await using model = await loadModel(path, options);
  const generated: Generated = { ids: [], text: '' };
  let text = '';
  for await (const piece of model.generate({ ids }, { temperature: 0, maxTokens })) {
    generated.ids.push(piece.id);
    text += piece.text;
  }
  return { ...generated, text };
}

export interface OnePass {
  /** The largest logit's id behind the prompt and behind each of the story's ids but the last. */
  readonly ids: number[];
  /** [T, vocab] of the prompt and the story without its last id. */
  readonly logits: ArrayLike<number>;
}

/**
 * What greedy decoding writes, asked in one run over prompt and story: by induction it writes `story` exactly when each of its
 * ids has the largest logit behind those before it. The plain loops unpack every weight once per run, not once per token.
 */
export async function greedyInOnePass(
  path: string,
  options: LoadOptions,
  prompt: readonly number[],
  story: readonly number[],
): Promise<OnePass> {
  await using model = await loadModel(path, options);
  const { vocab, data } = await model.logits([...prompt, ...story.slice(0, -1)]);
  const ids = story.map((_, i) => {
    const row = data.subarray((prompt.length - 1 + i) * vocab, (prompt.length + i) * vocab);
    return argmax(row);
  });
  return { ids, logits: data };
}

import { UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { Tensors } from './architecture.ts';
import { stackExperts } from './expert_tensors.ts';
import { number } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';

/** Throws UnsupportedError where some layers have no experts: GGUF files cannot say so, and published models have none; family: what messages call it. */
export function refusePlainLayers(hf: JsonObject, family: string): void {
  const plain = hf['mlp_only_layers'] ?? [];
  if (!Array.isArray(plain) || plain.length > 0) {
    throw new UnsupportedError(
      `config.json: mlp_only_layers is ${JSON.stringify(plain)}; ${family} is run with experts in every layer`,
    );
  }
  const step = hf['decoder_sparse_step'] ?? 1;
  if (step !== 1) {
    throw new UnsupportedError(
      `config.json: decoder_sparse_step is ${JSON.stringify(step)}; ${family} is run with experts in every layer`,
    );
  }
}

/** A folder's tensors under their GGUF names: each expert has its matrices apart there. nameOf: of the others. */
export function qwenMoeTensorsFromHf(
  tensors: Tensors,
  hf: JsonObject,
  nameOf: (hfName: string) => string | null,
): Tensors {
  const { stacks, others } = stackExperts(tensors, {
    module: 'mlp',
    parts: [
      ['gate_proj', 'ffn_gate_exps'],
      ['up_proj', 'ffn_up_exps'],
      ['down_proj', 'ffn_down_exps'],
    ],
    nExperts: number(hf, 'num_experts'),
  });
  return new Map([...renamed(others, nameOf, String(hf['model_type'])), ...stacks]);
}

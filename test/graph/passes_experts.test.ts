import { expect, test } from 'vitest';
import { lastRowOnly } from '../../src/graph/passes/last_row_only.ts';
import { buildExpertModel, expertModels } from '../support/expert_model.ts';
import { changing } from './mutants.ts';
import { passSuite } from './pass_suite.ts';

passSuite(lastRowOnly, {
  graphs: expertModels as never,
  firedAtLeast: 1,
  mutants: {
    'chooses one expert more': changing(lastRowOnly, 'choose_experts', ({ name, nChosen }) => ({
      nChosen: name.endsWith('.taken') ? nChosen + 1 : nChosen,
    })),
    'experts of the rows before': changing(lastRowOnly, 'expert_linear', ({ name, inputs }, { nodes }) => ({
      inputs: name.endsWith('.taken')
        ? [...inputs.slice(0, 2), nodes.findIndex((n) => n.op === 'choose_experts')]
        : inputs,
    })),
  },
});

test('a prompt runs the experts of its last layer for the rows that are asked for', () => {
  const { graph } = buildExpertModel({
    seed: 1,
    dtype: 'f32',
    activations: 'f32',
    nExperts: 4,
    nChosen: 2,
    groups: undefined,
    scoring: 'softmax',
    hasBias: false,
    isNormalized: true,
    scale: 1,
    ties: 'none',
    nLayers: 1,
    hiddenDim: 32,
  });
  const names = lastRowOnly.apply(graph).nodes.map((n) => n.name);
  for (const part of ['down', 'gate', 'up', 'experts', 'shares']) expect(names).toContain(`blk.0.${part}.taken`);
});

import { expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { siluFastBounds } from '../../src/exec/row_bounds.ts';
import { cheapSilu } from '../../src/graph/passes/cheap_silu.ts';
import { APPROXIMATE, choosePasses, PASSES } from '../../src/graph/passes/index.ts';
import { changing } from './mutants.ts';
import { passSuite } from './pass_suite.ts';

passSuite(cheapSilu, {
  firedAtLeast: 0.6,
  boundOf: (node, inputs) => (node.op === 'silu' ? siluFastBounds(inputs[0]!) : undefined),
  mutants: {
    'another activation': changing(cheapSilu, 'silu_fast', () => ({ op: 'gelu' })),
    'of another value': changing(cheapSilu, 'silu_fast', ({ inputs }, { nodes }) => ({
      inputs: [nodes[inputs[0]!]!.op === 'linear' ? nodes[inputs[0]!]!.inputs[0]! : inputs[0]!],
    })),
  },
});

test('no approximate pass runs unless it is named; then it runs in its place', () => {
  const names = (approximate: string[]) => choosePasses({ approximate }).map((pass) => pass.name);
  expect(PASSES.every((pass) => pass.numerics === 'exact')).toBe(true);
  expect(names([])).toEqual(PASSES.map((pass) => pass.name));
  for (const { pass, before } of APPROXIMATE) {
    expect(pass.numerics).toBe('bounded');
    const chosen = names([pass.name]);
    const at = chosen.indexOf(pass.name);
    expect(chosen[at + 1]).toBe(before);
    for (const earlier of pass.after) expect(chosen.slice(0, at)).toContain(earlier);
  }
});

test('an exact pass is no approximate one, and the other way round', () => {
  expect(() => choosePasses({ approximate: ['merge_qkv'] })).toThrow(ConfigError);
  expect(() => choosePasses({ approximate: ['merge_qkv'] })).toThrow(/"merge_qkv"; approximate passes are cheap_silu/);
  expect(() => choosePasses({ only: ['cheap_silu'] })).toThrow(/no pass "cheap_silu"/);
});

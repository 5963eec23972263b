import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldConstants } from '../../src/graph/passes/fold_constants.ts';
import { fuseRopeWrite } from '../../src/graph/passes/fuse_rope_write.ts';
import { hoistRopeTables } from '../../src/graph/passes/hoist_rope_tables.ts';
import { changing, countOp } from './mutants.ts';
import { passSuite } from './pass_suite.ts';
import { buildGraph, type GraphSpec, type Plant, randomGraphs, turnedGraphs } from './random_graph.ts';

passSuite(fuseRopeWrite, {
  firedAtLeast: 0.6,
  graphs: turnedGraphs,
  before: [hoistRopeTables],
  mutants: {
    'does not turn': changing(fuseRopeWrite, 'rope_write_k', ({ layer, inputs }) => ({
      op: 'kv_write_k',
      layer,
      inputs: inputs.slice(0, 1),
    })),
    'the other layout': changing(fuseRopeWrite, 'rope_write_k', ({ layout }) => ({
      layout: layout === 'pairs' ? 'halves' : 'pairs',
    })),
    'the table of the first layer': changing(fuseRopeWrite, 'rope_write_k', () => ({ table: 0 })),
    'turns twice': changing(fuseRopeWrite, 'rope_write_k', ({ inputs }, { nodes }) => ({
      inputs: [nodes.findIndex((n) => n.op === 'rope' && n.inputs[0] === inputs[0]), inputs[1]],
    })),
  },
});

const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;

describe('what fuse_rope_write leaves alone', () => {
  const writesIn = (plants: Plant[], isTurned = true): number[] => {
    const { graph } = buildGraph({
      ...base,
      layers: [{ attention: ['f32', 'f32', 'f32'], gateUp: ['q8_0', 'q8_0'], rest: 'f32', plants }],
      ropes: isTurned ? 'shared' : 'no pairs',
    });
    const after = fuseRopeWrite.apply(isTurned ? graph : foldConstants.apply(graph));
    return [countOp(after, 'rope_write_k'), countOp(after, 'kv_write_k'), countOp(after, 'kv_write_v')];
  };
  test('it fires on keys that are turned for the cache alone', () => expect(writesIn([])).toEqual([1, 0, 1]));
  test('keys that something else reads turned', () => expect(writesIn(['reads k'])).toEqual([0, 1, 1]));
  test('keys that nothing turns', () => expect(writesIn([], false)).toEqual([0, 1, 1]));
});

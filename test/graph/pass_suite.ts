import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/core/tensor.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import type { Bounded } from '../../src/exec/op_bounds.ts';
import type { Recording } from '../../src/exec/record.ts';
import type { Graph, Node } from '../../src/graph/ir.ts';
import type { Pass } from '../../src/graph/passes/pass.ts';
import { verify } from '../../src/graph/verify.ts';
import { firstBitDifference } from '../support/bits.ts';
import { playScenario, type Scenario, scenarios } from '../support/scenario.ts';
import { type RandomGraph, randomGraphs, roundsActivations } from './random_graph.ts';

type Transform = (graph: Graph) => Graph;

type BoundOf = (node: Node, inputs: readonly Tensor[]) => Bounded | undefined;

export interface PassSuite {
  /** Wrong forms of the pass by what is wrong with them; each must be caught by the promises that the pass keeps. */
  readonly mutants: Readonly<Record<string, Transform>>;
  /** In what share of the random graphs the pass must change something; of those, some must round activations. */
  readonly firedAtLeast: number;
  /** Passes that make what this one looks for: they run first, on both sides. */
  readonly before?: readonly Pass[];
  /**
   * Of a pass that is not exact: for a node that it may replace, as it was, the truth and how far the new value may be from it, given
   * the node's inputs; undefined for a node that it must not touch.
   */
  readonly boundOf?: BoundOf;
  /** Graphs to be tried, where those of every pass seldom have the pattern. */
  readonly graphs?: fc.Arbitrary<RandomGraph>;
}

export const RUNS = { numRuns: 50, seed: 20 };

/** Of the graphs in which a pass fired, at least this share must round activations somewhere: half of the specs ask for it. */
const QUANTIZED_SHARE = 0.2;

/** What is promised of every pass, as one suite: pass the pass, and how it may be wrong. */
export function passSuite(pass: Pass, options: PassSuite): void {
  const { mutants, firedAtLeast, before = [], graphs = randomGraphs, boundOf } = options;
  const what = boundOf === undefined ? 'equal bits under every name' : 'within the stated bound';
  const prepared = (graph: Graph): Graph => before.reduce((g, earlier) => earlier.apply(g), graph);

  describe(pass.name, () => {
    test(`verified, idempotent, ${what}; fires often enough`, () => {
      expect(pass.numerics).toBe(boundOf === undefined ? 'exact' : 'bounded');
      let nFired = 0;
      let nQuantized = 0;
      const check = keepsPromises(pass.apply, prepared, boundOf);
      fc.assert(
        fc.property(graphs, scenarios, (random, scenario) => {
          check(random, scenario);
          const graph = prepared(random.graph);
          if (sameStructure(graph, pass.apply(graph))) return;
          nFired++;
          if (roundsActivations(graph)) nQuantized++;
        }),
        RUNS,
      );
      expect(nFired, 'graphs that the pass changed').toBeGreaterThanOrEqual(firedAtLeast * RUNS.numRuns);
      expect(nQuantized, 'of these, graphs that round activations').toBeGreaterThanOrEqual(QUANTIZED_SHARE * nFired);
    });

    test.each(Object.entries(mutants))('a mutant is caught: %s', (_what, mutant) => {
      const check = keepsPromises(mutant, prepared, boundOf);
      expect(fc.check(fc.property(graphs, scenarios, check), { ...RUNS, endOnFailure: true }).failed).toBe(true);
    });
  });
}

/** Fails (by assertion) unless `transform` keeps what a pass promises on one graph. */
function keepsPromises(transform: Transform, prepared: Transform, boundOf?: BoundOf) {
  return (random: RandomGraph, scenario: Scenario): void => {
    const before = prepared(random.graph);
    const after = transform(before);
    verify(after);
    const twice = transform(after);
    if (!sameStructure(twice, after)) expect(twice, 'applied twice').toEqual(after);
    if (boundOf === undefined) expectSameBits(random, before, after, scenario);
    else expectWithinBounds(random, { before, after, boundOf }, scenario);
  };
}

/**
 * Fails unless each node is there as it was, or computes what it did, on the inputs that it now has, within its bound. The distance
 * of later values is no promise: a bound that is carried through layers says nothing.
 */
function expectWithinBounds(
  random: RandomGraph,
  { before, after, boundOf }: { readonly before: Graph; readonly after: Graph; readonly boundOf: BoundOf },
  scenario: Scenario,
): void {
  if (sameStructure(before, after)) return;
  expect(after.nodes.map(({ name }) => name)).toEqual(before.nodes.map(({ name }) => name));
  for (const { values } of record(random, after, scenario)) {
    before.nodes.forEach((node, id) => {
      const now = after.nodes[id]!;
      const bounded = boundOf(
        node,
        node.inputs.map((input) => values.get(before.nodes[input]!.name) as Tensor),
      );
      if (bounded === undefined) {
        expect(now).toEqual(node);
        return;
      }
      expect(now.inputs, `inputs of ${node.name}`).toEqual(node.inputs);
      const { exact, bound } = bounded;
      const outside = values.get(node.name)!.data.findIndex((v, i) => !(Math.abs(v - exact[i]!) <= bound[i]!));
      expect(outside, `first value of ${node.name} beyond its bound`).toBe(-1);
    });
  }
}

/** Fails unless both graphs compute the same logits, and the same bits under every name that both have. */
export function expectSameBits(random: RandomGraph, before: Graph, after: Graph, scenario: Scenario): void {
  if (sameStructure(before, after)) return;
  const old = recordedOnce(random, before, scenario);
  record(random, after, scenario).forEach(({ values, logits }, step) => {
    let nShared = 0;
    for (const [name, value] of values) {
      const was = old[step]!.values.get(name);
      if (was === undefined) continue;
      nShared++;
      expect(value.shape, `step ${step}, shape of ${name}`).toEqual(was.shape);
      expect(firstBitDifference(value.data, was.data), `step ${step}, first difference in ${name}`).toBe(-1);
    }
    expect(nShared, 'names that both have').toBeGreaterThan(0);
    expect(firstBitDifference(logits.data, old[step]!.logits.data), `step ${step}, logits`).toBe(-1);
  });
}

function record({ weights }: RandomGraph, graph: Graph, scenario: Scenario): Recording[] {
  return playScenario(createNaiveExecutor(graph, weights), scenario);
}

/** Runs of the graphs as they were, kept: the suites of all passes of a file draw the same ones. */
const recorded = new Map<string, Recording[]>();

function recordedOnce(random: RandomGraph, graph: Graph, scenario: Scenario): Recording[] {
  if (graph !== random.graph) return record(random, graph, scenario);
  const key = JSON.stringify([random.spec, scenario]);
  const known = recorded.get(key) ?? record(random, graph, scenario);
  recorded.set(key, known);
  return known;
}

/** The same nodes with the same attributes in the same order, the same tables, the same output. */
export function sameStructure(a: Graph, b: Graph): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Any choice of passes, in any order that keeps what each one says of its place. */
export function passOrders(passes: readonly Pass[]): fc.Arbitrary<readonly Pass[]> {
  return fc
    .tuple(fc.subarray([...passes]), fc.array(fc.nat(), { minLength: 40, maxLength: 40 }))
    .map(([chosen, draws]) => {
      const left = [...chosen];
      const order: Pass[] = [];
      while (left.length > 0) {
        const free = left.filter((pass) => !left.some((other) => pass.after.includes(other.name)));
        const next = free[draws[order.length]! % free.length]!;
        order.push(next);
        left.splice(left.indexOf(next), 1);
      }
      return order;
    });
}

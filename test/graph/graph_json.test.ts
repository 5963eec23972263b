import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isGlassformerError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { graphFromJson, graphToJson } from '../../src/graph/graph_json.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { verify } from '../../src/graph/verify.ts';
import { readJsonObject } from '../../src/load/json_file.ts';
import { checkGraphFits } from '../../src/models/fit_graph.ts';
import { limitedGraphs, randomGraphs } from './random_graph.ts';

const RUNS = { numRuns: 60, seed: 4 };
const read = (text: string): Graph => graphFromJson(JSON.parse(text), 'g.json');

describe('a graph as a file', () => {
  const comesBack = (write: (graph: Graph) => string) =>
    fc.property(fc.oneof(randomGraphs, limitedGraphs), fc.boolean(), ({ graph }, isOptimized) => {
      const saved = isOptimized ? optimize(graph) : graph;
      expect(read(write(saved))).toEqual(saved);
    });
  test('comes back as it was', () => fc.assert(comesBack(graphToJson), RUNS));
  test('one that rounds its numbers, or forgets the kernels, is caught', () => {
    const rounded = (graph: Graph) => graphToJson(graph).replace(/0\.\d{6,}/g, (n) => String(Math.fround(Number(n))));
    const bare = (graph: Graph) => graphToJson(graph).replace(/,"kernel":"\w+"/g, '');
    const limitless = (graph: Graph) => graphToJson(graph).replace(/,"window":\d+/g, '');
    for (const mutant of [rounded, bare, limitless]) expect(fc.check(comesBack(mutant), RUNS).failed).toBe(true);
  });
});

const [{ graph }, { graph: foreign }] = fc.sample(randomGraphs, { numRuns: 2, seed: 9 }) as unknown as [
  { graph: Graph },
  { graph: Graph },
];
const good = graphToJson(optimize(graph));
type Json = Record<string, unknown> & { nodes: Record<string, unknown>[] };
const changed = (change: (file: Json) => void): string => {
  const file = JSON.parse(good) as Json;
  change(file);
  return JSON.stringify(file);
};
const nodeOf = (file: Json, op: string) => file.nodes.find((node) => node['op'] === op)!;

describe('what is no graph is refused, by name', () => {
  test.each<[string, string, RegExp]>([
    ['another kind of file', '{"model_type": "llama"}', /g\.json: format is not "glassformer graph"/],
    [
      'another version',
      changed((f) => Object.assign(f, { version: 2 })),
      /version 2 of the graph format, this program reads 1/,
    ],
    ['no list of nodes', changed((f) => Object.assign(f, { nodes: 3 })), /the file\.nodes is not a list/],
    [
      'an op that there is not',
      changed((f) => Object.assign(f.nodes[5]!, { op: 'eval' })),
      /nodes\[5\]\.op is not one of/,
    ],
    ['an op of the prototype', changed((f) => Object.assign(f.nodes[5]!, { op: 'constructor' })), /nodes\[5\]\.op/],
    ['a field too many', changed((f) => Object.assign(f.nodes[5]!, { code: '1' })), /nodes\[5\]\.code is not a field/],
    ['a loop', changed((f) => Object.assign(nodeOf(f, 'rms_norm'), { inputs: [99999, 2] })), /is not an earlier node/],
    [
      'a shape that is not so',
      changed((f) => Object.assign(nodeOf(f, 'linear'), { shape: ['T', 7] })),
      /its rule gives/,
    ],
    ['a size of 2^40', changed((f) => Object.assign(nodeOf(f, 'embed'), { shape: ['T', 2 ** 40] })), /is not a shape/],
    ['eps that is a text', changed((f) => Object.assign(nodeOf(f, 'rms_norm'), { eps: '1' })), /eps is not a number/],
    [
      'a kernel of another format',
      changed((f) => Object.assign(nodeOf(f, 'linear'), { kernel: 'linear_q2_k_q8' })),
      /says linear_q2_k_q8/,
    ],
    ['another output', changed((f) => Object.assign(f, { output: 0 })), /the output is/],
    ['a kv shape of text', changed((f) => Object.assign(f, { kv: [] })), /kv is not an object/],
    [
      'frequencies that are none',
      changed((f) => Object.assign(f, { ropes: [{ frequencies: [null], magnitude: 1 }] })),
      /frequencies is not a list of numbers/,
    ],
  ])('%s', (_what, text, message) => expect(() => read(text)).toThrow(message));

  test('a chain of thousands of views', () => {
    const text = changed((file) => {
      const from = file.nodes.findIndex((node) => node['op'] === 'embed');
      const shape = file.nodes[from]!['shape'];
      const chain = Array.from({ length: 9000 }, (_, i) => {
        const input = i === 0 ? from : file.nodes.length + i - 1;
        return { op: 'reshape', to: shape, name: `view ${i}`, inputs: [input], shape };
      });
      file.nodes.push(...chain);
    });
    expect(() => read(text)).toThrow(/one of at most 64 slices and reshapes/);
  });

  test('any damage gives a graph that verifies, or one of the six errors', async () => {
    const bytes = new TextEncoder().encode(good);
    const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    let nRefused = 0;
    await fc.assert(
      fc.asyncProperty(damage, fc.option(fc.nat(bytes.length)), async (places, cut) => {
        const wrong = bytes.slice(0, cut ?? bytes.length);
        for (const [at, byte] of places) if (at < wrong.length) wrong[at] = byte;
        try {
          verify(graphFromJson(await readJsonObject(bufferSource('g.json', wrong)), 'g.json'));
        } catch (error) {
          nRefused++;
          expect(isGlassformerError(error), String(error)).toBe(true);
        }
      }),
      { numRuns: 400, seed: 6 },
    );
    expect(nRefused).toBeGreaterThan(200);
  });

  test('any values in place of its fields', () => {
    const paths = ['kv', 'ropes', 'nodes', 'output', 'version'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...paths),
        fc.nat(200),
        fc.constantFrom('op', 'inputs', 'shape', 'name', 'eps', 'to'),
        fc.jsonValue(),
        (path, at, field, value) => {
          const text = changed((file) => {
            if (path !== 'nodes') Object.assign(file, { [path]: value });
            else Object.assign(file.nodes[at % file.nodes.length]!, { [field]: value });
          });
          try {
            verify(read(text));
          } catch (error) {
            expect(isGlassformerError(error), String(error)).toBe(true);
          }
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });
});

describe('a graph that is loaded must be of the model', () => {
  test('its own one is', () => {
    fc.assert(
      fc.property(randomGraphs, ({ graph: own, spec }) => {
        fc.pre(!spec.layers.some((layer) => layer.plants.includes('other activations')));
        checkGraphFits(read(graphToJson(optimize(own))), own);
      }),
      RUNS,
    );
  });
  test.each<[string, (file: Json) => void, RegExp]>([
    [
      'a weight of another name',
      (f) => Object.assign(nodeOf(f, 'weight'), { name: 'blk.9.x' }),
      /reads blk\.9\.x, which the model has not/,
    ],
    [
      'other activations',
      (f) => {
        for (const node of f.nodes)
          if (node['op'] === 'linear') {
            delete node['kernel'];
            node['activations'] = node['activations'] === 'q8' ? 'f32' : 'q8';
          }
      },
      /load it with --activations/,
    ],
    [
      'other angles',
      (f) => Object.assign((f['ropes'] as object[])[0]!, { frequencies: [0.5] }),
      /rope table 0 turns by other angles/,
    ],
  ])('%s', (_what, change, message) => {
    expect(() => checkGraphFits(read(changed(change)), graph)).toThrow(message);
  });
  test('another model', () => expect(() => checkGraphFits(foreign, graph)).toThrow(/of another model|load it with/));
});

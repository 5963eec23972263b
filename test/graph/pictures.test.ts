import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { graphDiff } from '../../src/graph/diff.ts';
import type { Graph, Node } from '../../src/graph/ir.ts';
import { graphMermaid } from '../../src/graph/mermaid.ts';
import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { pictureOf } from '../../src/graph/picture.ts';
import { graphSvg } from '../../src/graph/svg.ts';
import { randomGraphs } from './random_graph.ts';

const RUNS = { numRuns: 40, seed: 2 };

describe('the difference of two graphs', () => {
  /** Taking the lines with - away and those with + in gives the other graph's lines. */
  const leadsFromOneToTheOther = (diff: typeof graphDiff) =>
    fc.property(randomGraphs, fc.nat(PASSES.length - 1), ({ graph }, at) => {
      const after = PASSES[at]!.apply(graph);
      const lines = diff(graph, after);
      const all = (g: Graph) => graphDiff({ ...g, nodes: [], ropes: [] }, g).map((line) => line.text);
      const left = new Set(all(graph));
      for (const { sign, text } of lines) expect(sign === '-' ? left.delete(text) : left.has(text)).toBe(sign === '-');
      for (const { sign, text } of lines) if (sign === '+') left.add(text);
      expect([...left].sort()).toEqual(all(after).sort());
    });
  test('leads from one to the other', () => fc.assert(leadsFromOneToTheOther(graphDiff), RUNS));
  test('one without its last line is caught', () =>
    expect(
      fc.check(
        leadsFromOneToTheOther((a, b) => graphDiff(a, b).slice(0, -1)),
        RUNS,
      ).failed,
    ).toBe(true));
  test('none where nothing changed', () =>
    fc.assert(
      fc.property(randomGraphs, ({ graph }) => graphDiff(graph, graph).length === 0),
      RUNS,
    ));
});

describe('pictures', () => {
  test('a box for each node of the first layer that computes, an arrow for each value that it reads', () => {
    fc.assert(
      fc.property(randomGraphs, ({ graph }) => {
        const { boxes, arrows } = pictureOf(optimize(graph));
        const shown = optimize(graph).nodes.filter(
          (n) => n.op !== 'weight' && n.op !== 'concat_weights' && !/^blk\.[1-9]/.test(n.name),
        );
        expect(boxes.filter((box) => box.kind !== 'omitted').map((box) => box.lines[0])).toEqual(
          shown.map((n) => n.name),
        );
        for (const { from, to } of arrows) expect(from).not.toBe(to);
      }),
      RUNS,
    );
  });

  test("Mermaid names every arrow's ends; SVG is well formed, whatever a name holds", () => {
    const evil = '<script>"&\u202e\x1b]]>`#;';
    fc.assert(
      fc.property(randomGraphs, ({ graph }) => {
        const nodes = graph.nodes.map((n, id) => (id === 4 ? ({ ...n, name: evil } as Node) : n));
        const mermaid = graphMermaid({ ...graph, nodes });
        const defined = new Set([...mermaid.matchAll(/^ {2}(n\d+)\[/gm)].map((m) => m[1]));
        for (const [, from, to] of mermaid.matchAll(/^ {2}(n\d+) --> (n\d+)$/gm)) {
          expect(defined.has(from) && defined.has(to)).toBe(true);
        }
        const svg = graphSvg({ ...graph, nodes });
        for (const text of [mermaid, svg])
          expect(text).not.toMatch(/script>|(?!\n)[\p{Cc}\p{Cf}]|NaN|undefined|Infinity/u);
        // Every tag is closed, and text between tags holds no bare < or &.
        const open: string[] = [];
        for (const [, close, name, self] of svg.matchAll(/<(\/?)(\w+)[^<>]*?(\/?)>/g)) {
          if (close === '/') expect(open.pop()).toBe(name);
          else if (self !== '/') open.push(name!);
        }
        expect(open).toEqual([]);
        expect(svg.replace(/<[^<>]*>/g, '')).not.toMatch(/[<>]|&(?!#\d+;)/);
      }),
      RUNS,
    );
  });
});

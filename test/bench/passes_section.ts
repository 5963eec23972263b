import { scratchOf } from '../../src/exec/plan.ts';
import { bytesMoved } from '../../src/exec/traffic.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { shapeGraph } from '../support/shape_graph.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { inTurns, ratios } from './measure.ts';
import { createRunner } from './model_runner.ts';

const SHAPE = '135m';
const DTYPE = 'q4_0';
const PROMPT = 128;
/** Writes down what would run anyway: every variant has it. */
const BASE = 'pick_quantized';

/** Names of the section's figures. */
export const PASS_FIGURES = {
  decode: (variant: string) => `decode, ${variant}`,
  decodeRatio: (variant: string) => `decode, ${variant} / all`,
  prefillRatio: (variant: string) => `prefill of ${PROMPT}, ${variant} / all`,
  nodes: (variant: string) => `nodes, ${variant}`,
  bytes: (variant: string) => `bytes moved, ${variant}`,
  scratch: (variant: string) => `scratch, ${variant}`,
};

/** The ablation of docs/graph.md: what a graph with another choice of passes costs, beside the one with all of them. */
export const PASS_COSTS: Section = { name: 'passes', run: measurePasses };

/** A choice of passes, by the name of its row. */
export function passVariants(): ReadonlyMap<string, (graph: Graph) => Graph> {
  const stated = shapeGraph(SHAPE, DTYPE);
  const others = PASSES.map((pass) => pass.name).filter((name) => name !== BASE);
  // A pass that finds nothing in this model makes no row of its own.
  const all = JSON.stringify(optimize(stated));
  const fires = others.filter((name) => JSON.stringify(optimize(stated, [name])) !== all);
  return new Map<string, (graph: Graph) => Graph>([
    ['all', (graph) => optimize(graph)],
    ['none', (graph) => optimize(graph, [], [BASE])],
    ...fires.map((name) => [`without ${name}`, (graph: Graph) => optimize(graph, [name])] as const),
    ...fires.map((name) => [`only ${name}`, (graph: Graph) => optimize(graph, [], [name, BASE])] as const),
  ]);
}

async function measurePasses({ quick }: Pace): Promise<Table> {
  const pace = { turns: quick ? 5 : 15, sampleMs: 0, warmUpMs: quick ? 300 : 800 };
  const figures: Figure[] = [];
  const variants = passVariants();
  const all = await createRunner({ shape: SHAPE, dtype: DTYPE, tier: 'auto' });
  for (const [variant, passes] of variants) {
    const stated = passes(shapeGraph(SHAPE, DTYPE));
    const { planned } = scratchOf(stated, { T: 1, R: 1, attendCells: 512 });
    figures.push(
      figure(PASS_FIGURES.nodes(variant), '', [stated.nodes.length]),
      figure(PASS_FIGURES.bytes(variant), 'MB', [bytesMoved(stated) / 1e6]),
      figure(PASS_FIGURES.scratch(variant), 'kB', [planned / 1e3]),
    );
    const other = await createRunner({ shape: SHAPE, dtype: DTYPE, tier: 'auto', passes });
    const times = await inTurns(
      [
        all.decode('all decode'),
        other.decode('decode'),
        all.prefill('all prefill', PROMPT),
        other.prefill('prefill', PROMPT),
      ],
      pace,
    );
    figures.push(
      figure(PASS_FIGURES.decode(variant), 'ms', times['decode']!),
      figure(PASS_FIGURES.decodeRatio(variant), 'x', ratios(times['decode']!, times['all decode']!)),
      figure(PASS_FIGURES.prefillRatio(variant), 'x', ratios(times['prefill']!, times['all prefill']!)),
    );
    other.executor.dispose();
  }
  all.executor.dispose();
  return {
    title: 'What each pass buys',
    note: `Random weights in the shape of SmolLM 135M (${DTYPE}), one thread: one decoded token after 64 others, and a prompt of ${PROMPT}.`,
    figures,
  };
}

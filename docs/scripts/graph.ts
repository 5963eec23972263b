import { optimize, PASSES } from '../../src/graph/passes/index.ts';
import { graphText } from '../../src/graph/text.ts';
import { passRegions } from '../../test/bench/passes_report.ts';
import { approximateLosses } from './approximate_losses.ts';
import { table } from './number_text.ts';
import { passChanges } from './pass_changes.ts';
import { withModel } from './run_model.ts';
import { fence } from './source_quote.ts';

/** The regions of docs/graph.md: the embedded model's graph before and after the passes. */
export async function graphRegions(): Promise<ReadonlyMap<string, string>> {
  return withModel('embedded', async ({ description }) => {
    const before = description.buildGraph('q8');
    let graph = before;
    const rows = PASSES.map((pass) => {
      const nodes = graph.nodes.length;
      graph = pass.apply(graph);
      return [`\`${pass.name}\``, pass.numerics, nodes, graph.nodes.length];
    });
    return new Map([
      ...passChanges(before),
      ...passRegions(),
      ['approximate', await approximateLosses()],
      ['passes', table(['pass', 'numerics', 'nodes before', 'nodes after'], rows)],
      ['before', excerpt(graphText(before))],
      ['after', excerpt(graphText(optimize(before)))],
    ]);
  });
}

/** The lines of a graph without those of layers 1 and up. */
function excerpt(text: string): string {
  const lines: string[] = [];
  for (const line of text.trimEnd().split('\n')) {
    if (!/"blk\.[1-9]/.test(line)) lines.push(line);
    else if (lines.at(-1) !== '...') lines.push('...');
  }
  return fence('text', lines);
}

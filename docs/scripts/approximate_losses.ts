import { APPROXIMATE } from '../../src/graph/passes/index.ts';
import { loadModel } from '../../src/index.node.ts';
import { CONTIGUOUS } from '../../src/kvcache/options.ts';
import { COSTS, costOf, ownText, type Run, runOver } from './kv_losses.ts';
import { table } from './number_text.ts';

/** What each approximate pass costs at the end: the embedded model's distributions after every token of its own stories. */
export async function approximateLosses(): Promise<string> {
  await using exact = await loadModel('embedded');
  const ids = await ownText(exact);
  const full = runOver(exact, ids, CONTIGUOUS);
  const rows: (readonly [name: string, run: Run])[] = [['none', full]];
  for (const { pass } of APPROXIMATE) {
    await using model = await loadModel('embedded', { approximate: [pass.name] });
    rows.push([`\`${pass.name}\``, runOver(model, ids, CONTIGUOUS)]);
  }
  return table(
    ['pass', ...COSTS],
    rows.map(([name, run]) => {
      const { kl, sameTop, perplexity } = costOf(full, run, ids);
      return [name, kl.toExponential(1), `${(100 * sameTop).toFixed(1)} %`, perplexity.toFixed(4)];
    }),
  );
}

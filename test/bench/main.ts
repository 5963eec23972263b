/**
 * The benchmarks: npm run bench. See docs/benchmarks.md, docs/kernels.md and docs/graph.md, whose tables this program writes.
 *
 *   --only NAME,NAME   only these sections; nothing is written, but docs/kernels.md where ladder is one of
 *                      them, and docs/graph.md where passes is
 *   --quick            fewer turns; nothing is written
 *   --label TEXT       the run's column, by default "Node 20" and the like; a run of the same label is replaced
 *   --node PATH        runs everything under another Node
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BATCH } from './batch.ts';
import { BUILDS } from './builds.ts';
import { type Section, showTable, type Table } from './figures.ts';
import { GEMM } from './gemm.ts';
import { KV } from './kv.ts';
import { writeLadder } from './ladder_report.ts';
import { LADDER } from './ladder_section.ts';
import { MATRIX_VECTOR } from './matrix_vector.ts';
import { NODE_TIMES } from './node_times.ts';
import { writePasses } from './passes_report.ts';
import { PASS_COSTS } from './passes_section.ts';
import { describeRun, writeReport } from './report.ts';
import { SIZES } from './sizes.ts';
import { TIERS } from './tiers.ts';

const SECTIONS: readonly Section[] = [
  GEMM,
  MATRIX_VECTOR,
  TIERS,
  BATCH,
  BUILDS,
  NODE_TIMES,
  KV,
  SIZES,
  LADDER,
  PASS_COSTS,
];

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      label: { type: 'string' },
      node: { type: 'string' },
    },
  });
  if (values.node !== undefined) return runUnder(values.node, args);

  const names = values.only?.split(',') ?? SECTIONS.map((s) => s.name);
  const unknown = names.find((name) => !SECTIONS.some((s) => s.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`bench: no section "${unknown}"; there are ${SECTIONS.map((s) => s.name).join(', ')}\n`);
    return 2;
  }
  const tables = new Map<Section, Table>();
  for (const section of SECTIONS.filter((s) => names.includes(s.name))) {
    const start = performance.now();
    const table = await section.run({ quick: values.quick });
    tables.set(section, table);
    process.stdout.write(showTable(table));
    process.stderr.write(`bench: ${section.name} took ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  }
  if (values.quick) return 0;
  const label = values.label ?? `Node ${process.versions.node.split('.')[0]}`;
  const ladder = tables.get(LADDER);
  if (ladder !== undefined) {
    await writeLadder(describeRun(label, [ladder]));
    process.stderr.write('bench: wrote docs/kernels.md\n');
    tables.delete(LADDER);
  }
  const passes = tables.get(PASS_COSTS);
  if (passes !== undefined) {
    await writePasses(describeRun(label, [passes]));
    process.stderr.write('bench: wrote docs/graph.md\n');
    tables.delete(PASS_COSTS);
  }
  if (values.only !== undefined) return 0;
  writeReport('own', [describeRun(label, [...tables.values()])]);
  process.stderr.write('bench: wrote docs/benchmarks.md\n');
  return 0;
}

/** The same program under another Node: results of two V8s belong side by side. */
function runUnder(node: string, args: readonly string[]): number {
  const rest = args.filter((arg, i) => arg !== '--node' && args[i - 1] !== '--node' && !arg.startsWith('--node='));
  const tsx = fileURLToPath(import.meta.resolve('tsx'));
  const { status, error } = spawnSync(node, ['--import', tsx, fileURLToPath(import.meta.url), ...rest], {
    stdio: 'inherit',
  });
  if (error !== undefined) process.stderr.write(`bench: ${node} cannot be started: ${error.message}\n`);
  return status ?? 1;
}

/**
 * Glassformer beside other engines: npm run bench:peers. See docs/benchmarks.md, which this program writes.
 *
 *   --only NAME,NAME   only these sections; nothing is written
 *   --quick            one turn of less work; nothing is written
 *   --turns N          at most N turns beside llama.cpp, where a run takes long; medians are of as many
 *   --nodes PATH,PATH  Nodes to run Glassformer under; by default the newest that is installed, and Node 20
 */

import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { showTable, type Table } from '../bench/figures.ts';
import { describeRun, writeReport } from '../bench/report.ts';
import { BROWSER } from './browser.ts';
import { firstLine } from './contenders.ts';
import { FOUR_BIT } from './four_bit.ts';
import { LOAD_MEMORY } from './load_memory.ts';
import { NATIVE } from './native.ts';
import { defaultNodes, nodeAt } from './nodes.ts';
import type { PeerSection } from './section.ts';

const SECTIONS: readonly PeerSection[] = [NATIVE, LOAD_MEMORY, BROWSER, FOUR_BIT];

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      turns: { type: 'string', default: 'Infinity' },
      nodes: { type: 'string' },
    },
  });
  const mostTurns = Number(values.turns);
  if (!(mostTurns >= 1)) {
    process.stderr.write(`peers: --turns is ${values.turns}, must be a number from 1\n`);
    return 2;
  }
  const names = values.only?.split(',') ?? SECTIONS.map((s) => s.name);
  const unknown = names.find((name) => !SECTIONS.some((s) => s.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`peers: no section "${unknown}"; there are ${SECTIONS.map((s) => s.name).join(', ')}\n`);
    return 2;
  }
  const nodes = values.nodes?.split(',').map(nodeAt) ?? defaultNodes();
  const tables = new Map<string, Table[]>(nodes.map(({ label }) => [label, []]));
  for (const section of SECTIONS.filter((s) => names.includes(s.name))) {
    const start = performance.now();
    try {
      for (const [label, table] of await section.run({ quick: values.quick, mostTurns, nodes })) {
        tables.get(label)!.push(table);
        process.stdout.write(`${label}\n${showTable(table)}`);
      }
    } catch (e) {
      // What one section lacks is no reason to lose the others.
      process.stderr.write(`peers: ${section.name} failed: ${firstLine(e)}\n`);
      const table = { title: `Section ${section.name}`, note: '', figures: [], skipped: firstLine(e) };
      for (const list of tables.values()) list.push(table);
    }
    process.stderr.write(`peers: ${section.name} took ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  }
  if (values.quick || values.only !== undefined) return 0;
  const runs = nodes.map(({ label, path }) => {
    const versions = execFileSync(path, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' });
    return describeRun(label, tables.get(label)!, JSON.parse(versions) as { node: string; v8: string });
  });
  writeReport('peers', runs);
  process.stderr.write('peers: wrote docs/benchmarks.md\n');
  return 0;
}

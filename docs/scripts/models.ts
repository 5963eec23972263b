import { readFileSync } from 'node:fs';
import { bufferSource } from '../../src/core/host.ts';
import { openModel } from '../../src/engine/load_model.ts';
import { ARCHITECTURES } from '../../src/models/architectures.ts';
import {
  ALL_ARCHITECTURES,
  distanceOf,
  fileOfCase,
  logitsOfCase,
  spreadOf,
} from '../../test/support/architecture_cases.ts';
import { readGoldens } from '../../test/support/architecture_goldens.ts';
import { table } from './number_text.ts';
import { ROOT } from './root.ts';
import { fence } from './source_quote.ts';

/** An architecture that is small, and shows every place that a new one touches. */
const EXAMPLE = 'qwen2';
const LIST = 'src/models/architectures.ts';
const RANDOM_LIST = 'src/load/random_architectures.ts';
const RANDOM_FILE = 'src/load/random/qwen.ts';
const RANDOM_START = 'export const randomQwen2';

/** The regions of docs/models.md. */
export async function modelRegions(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['decoders', decoders()],
    ['ops', await ops()],
    ['distances', await distances()],
    ['diff', diff()],
  ]);
}

/** One row for each line of the list, with the file that the line loads. */
function decoders(): string {
  const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ') || '-';
  const loads = [
    ...source(LIST)
      .join('\n')
      .matchAll(/load: async \(\) =>\s+(?:\(await import\('\.\/(\w+)\.ts'\)\)|(\w+))/g),
  ];
  if (loads.length !== ARCHITECTURES.length) throw new Error(`${LIST}: ${loads.length} lines say what they load`);
  const rows = ARCHITECTURES.map((entry, i) => {
    const path = `src/models/${loads[i]![1] ?? loads[i]![2]}.ts`;
    return [`[${path}](../${path})`, code(entry.ggufNames), code(entry.modelTypes)];
  });
  return table(['graph', 'GGUF: general.architecture', 'folder: model_type'], rows);
}

/** The ops of a small random model that a Llama has not, and those of a Llama that it has not. */
async function ops(): Promise<string> {
  const opsOf = async (architecture: (typeof ALL_ARCHITECTURES)[number]): Promise<Set<string>> => {
    const file = fileOfCase({ architecture, layout: 'grouped', format: 'f32', seed: 1 });
    const { description, close } = await openModel({
      kind: 'file',
      source: bufferSource(`${architecture}.gguf`, file),
      folder: undefined,
    });
    const { nodes } = description.buildGraph('q8');
    await close();
    return new Set(nodes.map((node) => node.op));
  };
  const plain = await opsOf('llama');
  const without = (a: Set<string>, b: Set<string>): string => [...a].filter((op) => !b.has(op)).join(', ') || '-';
  const rows: string[][] = [];
  for (const name of ALL_ARCHITECTURES) {
    const own = await opsOf(name);
    rows.push([name, without(own, plain), without(plain, own)]);
  }
  return table(['architecture', 'ops that Llama has not', 'ops of Llama that it has not'], rows);
}

/** Of the first stored model of each: the f32 tiers and llama.cpp against float64, as shares of the spread of the logits. */
async function distances(): Promise<string> {
  const rows: string[][] = [];
  for (const { architecture, models } of readGoldens()) {
    const { layout, seed, logits } = models[0]!;
    const one = { architecture, layout, format: 'f32', seed } as const;
    const truth = await logitsOfCase(one, { executor: 'naive64' });
    const spread = spreadOf(truth);
    const ours = distanceOf(await logitsOfCase(one, { activations: 'f32' }), truth) / spread;
    const wide = distanceOf(await logitsOfCase(one, { activations: 'f32', sums: 'f64' }), truth) / spread;
    const theirs = distanceOf(logits, truth) / spread;
    rows.push([architecture, ...[ours, wide, theirs].map((share) => share.toExponential(1))]);
  }
  return table(['architecture', 'Glassformer, f32', 'the same, --sums f64', 'llama.cpp, f32'], rows);
}

/** What the example added: its line in the list, its writer of random files, and its file. */
function diff(): string {
  const added = (path: string, lines: readonly string[]): string[] => [
    `+++ ${path}`,
    ...lines.map((line) => `+${line}`),
    '',
  ];
  const linesWith = (path: string, text: string): string[] => source(path).filter((line) => line.includes(text));
  const path = `src/models/${EXAMPLE}.ts`;
  const lines = source(RANDOM_FILE);
  const from = lines.findIndex((line) => line.startsWith(RANDOM_START));
  const writer = lines.slice(from, lines.indexOf('}', from) + 1); // and the function that it calls
  return fence(
    'diff',
    [
      ...added(LIST, linesWith(LIST, `'${EXAMPLE}'`)),
      ...added(path, source(path)),
      ...added(RANDOM_LIST, linesWith(RANDOM_LIST, `  ${EXAMPLE}:`)),
      ...added(RANDOM_FILE, writer),
    ].slice(0, -1),
  );
}

function source(path: string): string[] {
  return readFileSync(new URL(path, ROOT), 'utf8').trimEnd().split('\n');
}

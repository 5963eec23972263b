import { type Command, Option } from 'commander';
import { ConfigError } from '../core/errors.ts';
import type { LoadOptions } from '../engine/options.ts';
import type { Graph } from '../graph/ir.ts';
import { KV_KINDS } from '../kvcache/options.ts';
import { parseIds } from './arguments.ts';
import { plural, printable } from './format.ts';
import type { Inspected } from './inspect_file.ts';
import type { InspectKvFlags } from './inspect_kv.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { addLossyOptions, addPageOptions } from './kv_options.ts';
import { downloaded } from './load.ts';
import { addGraphOptions, loadOptionsOf } from './model_options.ts';
import { writeOutputFile } from './output_file.ts';
import { createProgress } from './progress.ts';
import { editDistance } from './spelling.ts';
import { styleOf } from './style.ts';
import { usageError } from './usage.ts';

const GRAPH_FORMATS = ['text', 'mermaid', 'svg'] as const;
type GraphFormat = (typeof GRAPH_FORMATS)[number];

interface Flags extends InspectKvFlags {
  readonly graph?: boolean;
  readonly passes?: boolean;
  readonly tensor?: string;
  readonly out?: string;
  readonly format: GraphFormat;
  readonly saveGraph?: string;
}

const EXAMPLES = `
Reads any well-formed GGUF or safetensors file, also one that is no model, and says what it lacks to be one.

Examples:
  glassformer inspect
  glassformer inspect model.gguf --json
  glassformer inspect --graph
  glassformer inspect --passes
  glassformer inspect --kv paged --page-size 16 --prompt "Once there was a fox who lived in the forest"
  glassformer inspect --graph --format svg --out graph.svg
  glassformer inspect --save-graph graph.json
  glassformer inspect --tensor blk.0.attn_q.weight --out tensor.safetensors
`;

export function defineInspect(command: Command, io: Io): void {
  command
    .argument('[model]', 'the same as --model')
    .option('--graph', 'the graph before and after the passes')
    .option('--passes', 'what each pass did')
    .option('--tensor <name>', 'unpack one tensor to f32 (with --out)')
    .addOption(
      new Option('--format <form>', 'of --graph: mermaid and svg draw what runs')
        .choices(GRAPH_FORMATS)
        .default('text'),
    )
    .option('-o, --out <path>', 'the file that --tensor writes (safetensors), or --graph')
    .option('--save-graph <path>', 'write the graph after the passes as a file for --load-graph')
    .addOption(
      new Option('--kv [form]', 'run a prompt three ways and show what the KV cache holds (default: paged)').choices(
        KV_KINDS,
      ),
    )
    .option('--prompt <text>', 'the prompt of --kv')
    .option('--ids <list>', 'the prompt of --kv as exact token ids, 1,2,3', parseIds);
  addGraphOptions(addLossyOptions(addPageOptions(command)))
    .addHelpText('after', EXAMPLES)
    .action((model: string | undefined, flags: Flags, self: Command) => {
      if (model !== undefined && self.getOptionValueSource('model') === 'cli') {
        throw usageError(`the model is given twice, ${model} and ${flags.model}; give it once`);
      }
      return inspect(io, { ...flags, model: model ?? flags.model });
    });
}

async function inspect(io: Io, flags: Flags): Promise<void> {
  const { graph, passes, tensor, out } = flags;
  if (tensor !== undefined && out === undefined) throw usageError('--tensor NAME and --out PATH go together');
  if (out !== undefined && tensor === undefined && graph !== true) {
    throw usageError('--out PATH is for what --tensor NAME or --graph writes; ask for one of them');
  }
  if (flags.format !== 'text' && graph !== true)
    throw usageError(`--format ${flags.format} is a form of --graph; ask for it`);
  if (flags.json === true && flags.format !== 'text') throw usageError('--json and --format exclude each other');
  if (tensor !== undefined && (graph === true || passes === true)) {
    throw usageError('--tensor writes one tensor; ask for --graph or --passes in a run of its own');
  }
  if (flags.saveGraph !== undefined && (tensor !== undefined || flags.kv !== undefined)) {
    throw usageError('--save-graph writes a graph; ask for --tensor or --kv in a run of its own');
  }
  if (flags.kv !== undefined) {
    if (tensor !== undefined || graph === true || passes === true) {
      throw usageError('--kv runs a prompt; ask for --graph, --passes or --tensor in a run of its own');
    }
    const { showKv } = await import('./inspect_kv.ts');
    return showKv(io, flags);
  }
  if (flags.prompt !== undefined || flags.ids !== undefined) throw usageError('--prompt and --ids go with --kv');
  const { kv: _, ...sizes } = flags;
  const options = await loadOptionsOf(sizes);
  const { openInspected } = await import('./inspect_file.ts');
  const file = await openInspected(await downloaded(io, flags.model), options);
  try {
    if (tensor !== undefined) await writeTensor(io, file, tensor, out!, flags.json === true);
    else if (graph === true || passes === true || flags.saveGraph !== undefined)
      await showGraph(io, file, flags, options);
    else {
      const { inspectJson, inspectText } = await import('./inspect_report.ts');
      if (flags.json === true) writeJson(io.stdout, inspectJson(file, options));
      else io.stdout.write(inspectText(file, options, styleOf(io.stdout, io.env)));
    }
  } finally {
    await file.close();
  }
}

/** Throws ConfigError when the file is no model: then there is no graph. */
async function showGraph(io: Io, { model, name }: Inspected, flags: Flags, options: LoadOptions): Promise<void> {
  if ('missing' in model) throw new ConfigError(`${name}: has no graph, since it cannot be run: ${model.missing}`);
  const { passesText, passSteps, scratchText } = await import('./inspect_passes.ts');
  const { passChoiceOf, runGraph } = await import('./inspect_file.ts');
  const { graphToJson } = await import('../graph/graph_json.ts');
  const { graphText } = await import('../graph/text.ts');
  const after = runGraph(model.graph, options);
  if (flags.saveGraph !== undefined) {
    await writeText(flags.saveGraph, graphToJson(after));
    io.stderr.write(`wrote the graph, ${plural(after.nodes.length, 'node')}, to ${printable(flags.saveGraph)}\n`);
  }
  const texts = { before: graphText(model.graph), after: graphText(after) };
  const steps = flags.passes === true ? passSteps(model.graph, passChoiceOf(options)) : [];
  if (flags.json === true) {
    writeJson(io.stdout, {
      ...(flags.graph === true && { graph: texts }),
      ...(flags.passes === true && { passes: steps.map((step) => step.report) }),
    });
    return;
  }
  const style = styleOf(io.stdout, io.env);
  const safe = (text: string): string => text.split('\n').map(printable).join('\n');
  if (flags.graph === true) {
    const text =
      flags.format === 'text'
        ? `${style.bold('before the passes')}\n${safe(texts.before)}\n${style.bold('after the passes')}\n${safe(texts.after)}\n${scratchText(after)}`
        : await drawing(after, flags.format);
    if (flags.out === undefined) io.stdout.write(text);
    else {
      await writeText(flags.out, text);
      io.stderr.write(`wrote the graph as ${flags.format} to ${printable(flags.out)}\n`);
    }
  }
  if (flags.passes === true) io.stdout.write(passesText(steps));
}

async function drawing(graph: Graph, format: Exclude<GraphFormat, 'text'>): Promise<string> {
  if (format === 'mermaid') return (await import('../graph/mermaid.ts')).graphMermaid(graph);
  return (await import('../graph/svg.ts')).graphSvg(graph);
}

function writeText(path: string, text: string): Promise<void> {
  return writeOutputFile(path, async () => new TextEncoder().encode(text));
}

/** Writes a tensor of any format that the engine knows as f32: [its shape], by its name. */
async function writeTensor(io: Io, file: Inspected, name: string, out: string, isJson: boolean): Promise<void> {
  const info = file.tensors.get(name);
  if (info === undefined)
    throw new ConfigError(`${file.name}: has no tensor ${JSON.stringify(name)}${nearest(file, name)}`);
  const { writeSafetensors } = await import('../load/safetensors_writer.ts');
  const { unpackTensor } = await import('./unpack_tensor.ts');
  const progress = createProgress(io);
  try {
    await writeOutputFile(out, async () => {
      const data = await unpackTensor(info, { signal: io.signal, onProgress: progress.onProgress });
      return writeSafetensors([{ name, shape: info.shape, dtype: 'F32', data }]);
    });
  } finally {
    progress.done();
  }
  if (isJson) writeJson(io.stdout, { name, type: info.type, shape: info.shape, out });
  else io.stderr.write(`wrote ${printable(name)} [${info.shape.join(', ')}] as f32 to ${printable(out)}\n`);
}

/** " (did you mean ...?)" when a name is only a few letters away. */
function nearest(file: Inspected, name: string): string {
  const most = 3;
  const ranked = [...file.tensors.keys()]
    .map((known) => ({ known, distance: editDistance(known, name, most) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= most
    ? `, did you mean ${JSON.stringify(best.known)}?`
    : '; inspect without --tensor lists them';
}

import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { DType } from '../core/dtype.ts';
import { ConfigError } from '../core/errors.ts';
import { ALL_RANDOM, type RandomName } from '../load/random_architectures.ts';
import { type RandomModel, randomGguf } from '../load/random_gguf.ts';
import { RANDOM_SHAPES, type RandomModelShape, type RandomShapeName } from '../load/random_shape.ts';
import { FORMATS } from '../quant/formats.ts';
import { parseCount, parsePositive } from './arguments.ts';
import { printable, showBytes } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { beginOutputFile } from './output_file.ts';
import { createProgress } from './progress.ts';
import { checkUsage, usageError } from './usage.ts';

interface Flags {
  readonly out: string;
  readonly arch: RandomName;
  readonly shape: RandomShapeName;
  readonly format: DType;
  readonly seed: number;
  readonly layers?: number;
  readonly dim?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly hidden?: number;
  readonly vocab?: number;
  readonly maxSeq?: number;
  readonly untied?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
The file is a whole model: right shapes and right speed, text without sense. Any text becomes its bytes (t5 and
xlm-roberta: its ASCII characters). All matrices are in the format, norms in f32; equal flags give equal bytes. Sizes that are not given are those of
--shape, the shapes of SmolLM 135M, Qwen 2 0.5B and Llama 3.2 1B.

Examples:
  glassformer make-random --layers 2 --vocab 1000 --out random.gguf
  glassformer make-random --shape 0.5b --layers 1 --vocab 1000 --format q8_0 --seed 7 --out random.gguf --force
`;

export function defineMakeRandom(command: Command, io: Io): void {
  const sizes = `of a layer, in place of the shape's`;
  command
    .requiredOption('-o, --out <path>', 'the GGUF file to write')
    .addOption(choice('--arch <name>', 'the architecture', Object.keys(ALL_RANDOM), 'llama'))
    .addOption(choice('--shape <name>', 'the sizes', Object.keys(RANDOM_SHAPES), '135m'))
    .addOption(choice('--format <name>', 'how all matrices are stored', Object.keys(FORMATS), 'q4_0'))
    .option('--seed <n>', 'of the random numbers, 0 to 2^32 - 1', parseCount, 0)
    .option('--layers <n>', "number of layers, in place of the shape's", parsePositive)
    .option('--dim <n>', `width ${sizes}`, parsePositive)
    .option('--heads <n>', `heads ${sizes}`, parsePositive)
    .option('--kv-heads <n>', `heads of keys and values ${sizes}`, parsePositive)
    .option('--hidden <n>', `hidden width ${sizes}`, parsePositive)
    .option('--vocab <n>', "number of tokens, in place of the shape's", parsePositive)
    .option('--max-seq <n>', 'positions that the model says it was made for', parsePositive)
    .option('--untied', 'an output matrix of its own, not the embedding again; for encoders, a head of one score')
    .option('--force', 'replace a file that is there')
    .option('--json', 'print JSON for programs')
    .option('--debug', 'show the stack of an error (also with GLASSFORMER_DEBUG=1)')
    .addHelpText('after', EXAMPLES)
    .action((flags: Flags) => makeRandom(io, flags));
}

function choice(flags: string, description: string, names: readonly string[], standard: string): Option {
  return new Option(flags, description).choices(names).default(standard);
}

async function makeRandom(io: Io, flags: Flags): Promise<void> {
  const { arch: architecture, format, seed } = flags;
  const model = checkUsage(() => randomGguf({ architecture, shape: shapeOf(flags), format, seed }));
  await checkFree(flags.out, flags.force === true);
  await writeModel(io, flags.out, model);
  const { nBytes, nParameters } = model;
  if (flags.json === true) {
    writeJson(io.stdout, { out: flags.out, bytes: nBytes, parameters: nParameters, architecture, format, seed });
  } else {
    const millions = (nParameters / 1e6).toPrecision(3);
    io.stderr.write(
      `wrote ${printable(flags.out)}: ${architecture}, ${millions} million parameters in ${format}, ${showBytes(nBytes)}\n`,
    );
  }
}

function shapeOf(flags: Flags): RandomModelShape {
  const shape = RANDOM_SHAPES[flags.shape];
  return {
    nLayers: flags.layers ?? shape.nLayers,
    dim: flags.dim ?? shape.dim,
    nHeads: flags.heads ?? shape.nHeads,
    nKvHeads: flags.kvHeads ?? shape.nKvHeads,
    hiddenDim: flags.hidden ?? shape.hiddenDim,
    vocab: flags.vocab ?? shape.vocab,
    maxContext: flags.maxSeq ?? shape.maxContext,
    tied: flags.untied !== true,
  };
}

/** A model may have cost somebody hours: it is not replaced without a word. */
async function checkFree(path: string, mayReplace: boolean): Promise<void> {
  const info = await stat(path).catch(() => null);
  if (info === null) return;
  if (!info.isFile())
    throw new ConfigError(`${path}: is not a file and cannot be replaced by one; choose another name`);
  if (!mayReplace) throw usageError(`${printable(path)} is there already; --force replaces it`);
}

async function writeModel(io: Io, path: string, model: RandomModel): Promise<void> {
  const file = await beginOutputFile(path);
  const progress = createProgress(io, 'writing');
  let doneBytes = 0;
  try {
    for (const chunk of model.chunks()) {
      io.signal.throwIfAborted();
      await file.write(chunk);
      doneBytes += chunk.length;
      progress.onProgress({ doneBytes, totalBytes: model.nBytes, what: path });
    }
    await file.commit();
  } finally {
    progress.done();
    await file.discard();
  }
}

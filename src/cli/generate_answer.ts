import { stat } from 'node:fs/promises';
import { loadEncoderDecoder, type SourceText } from '../engine/encoder_decoder.ts';
import type { GenerateOptions, Piece, Summary } from '../engine/generate.ts';
import type { ModelInfo } from '../engine/model.ts';
import { isEncoderDecoder } from '../engine/open_encoder_decoder.ts';
import type { LoadOptions } from '../engine/options.ts';
import { createNodeHost, openNodeModel } from '../platform/node.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Io } from './io.ts';
import { createProgress } from './progress.ts';
import type { PromptInput } from './prompt.ts';
import { usageError } from './usage.ts';

/** An encoder-decoder (T5) as `generate` uses it: a text is read, another one written. */
export interface Answering extends AsyncDisposable {
  readonly tokenizer: Tokenizer;
  readonly info: ModelInfo;
  sourceIds(input: PromptInput): number[];
  generate(ids: readonly number[], options: GenerateOptions): AsyncGenerator<Piece, Summary, void>;
}

/** Flags that are about a decoder that goes on with its prompt. */
export interface DecoderFlags {
  readonly lookup?: number;
  readonly draft?: string;
  readonly beams?: number | undefined;
  readonly raw?: boolean;
}

/** An encoder-decoder, loaded; null for any other model. Throws a usage error for flags that do not fit it. */
export async function loadAnswering(
  io: Io,
  path: string,
  options: LoadOptions,
  flags: DecoderFlags,
): Promise<Answering | null> {
  if (path === 'embedded') return null;
  const isThere = await stat(path).then(
    () => true,
    () => false, // what is not there is reported by whoever loads it
  );
  if (!isThere) return null;
  const source = await openNodeModel(path);
  const leave = async (): Promise<void> => {
    if (source.kind === 'file') await source.source.close();
  };
  try {
    if (!(await isEncoderDecoder(source))) {
      await leave();
      return null;
    }
    refuseFlags(flags);
  } catch (e) {
    await leave();
    throw e;
  }
  const progress = createProgress(io);
  const onNotice = (line: string): void => void io.stderr.write(`${line}\n`);
  try {
    const { onProgress, onMemoryNeed } = progress;
    const given = { ...options, signal: io.signal, onProgress, onMemoryNeed, onNotice };
    const loaded = await loadEncoderDecoder(source, createNodeHost(), given);
    return {
      tokenizer: loaded.tokenizer,
      get info() {
        return loaded.info;
      },
      sourceIds: (input) => loaded.sourceIds(sourceOf(input)),
      generate: (ids, generateOptions) => loaded.generate({ ids }, generateOptions),
      [Symbol.asyncDispose]: () => loaded.dispose(),
    };
  } finally {
    progress.done();
  }
}

function sourceOf(input: PromptInput): SourceText {
  return 'ids' in input ? input : input.text;
}

function refuseFlags({ lookup, draft, beams, raw }: DecoderFlags): void {
  const asked = {
    '--lookup': lookup !== undefined,
    '--draft': draft !== undefined,
    '--beams': beams !== undefined,
    '--raw': raw === true,
  };
  const name = Object.entries(asked).find(([, isAsked]) => isAsked)?.[0];
  if (name !== undefined) throw usageError(`${name} does not go with an encoder-decoder (t5); leave it out`);
}

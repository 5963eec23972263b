import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource, Host } from '../core/host.ts';
import type { Executor, Logits, Tier } from '../exec/executor.ts';
import type { KvCache, KvStats } from '../kvcache/cache.ts';
import { canTakeBack, type KvOptions } from '../kvcache/options.ts';
import type { ModelDescription } from '../models/architectures.ts';
import type { renderChat } from '../text/chat_template.ts';
import type { Reasoning } from '../text/reasoning.ts';
import { needChatTemplate } from '../text/template_source.ts';
import type { EncodeOptions, Tokenizer } from '../text/tokenizer.ts';
import { type GenerateOptions, generate, type Piece, type Summary } from './generate.ts';
import type { generateAhead } from './generate_ahead.ts';
import type { generateBeams } from './generate_beams.ts';
import type { generateMany, ManyEvent, ManyOptions, ManyRequest } from './generate_many.ts';
import type { generateShifting } from './generate_shifting.ts';
import { lazyForms } from './lazy_forms.ts';
import type { CheckedLoadOptions } from './options.ts';
import type { ChatPrompt, Prompt } from './prompt.ts';
import { createSession, type Session, type SessionOptions, type SessionParts } from './session.ts';

export type { ChatPrompt, Prompt };

export interface ModelInfo {
  readonly name: string;
  readonly architecture: string;
  readonly tier: Tier;
  /** Which kernels run, e.g. "wasm relaxed". */
  readonly kernels: string;
  readonly threads: number;
  readonly vocab: number;
  /** Positions that one sequence may have here, and that the model was made for. */
  readonly maxSeq: number;
  readonly maxContext: number;
  readonly weightBytes: number;
  readonly cacheBytes: number;
  readonly scratchBytes: number;
  readonly loadMs: number;
}

/** A loaded model. All methods throw the six errors of core/errors.ts; nothing else is an input's fault. */
export interface Model {
  readonly info: ModelInfo;
  readonly tokenizer: Tokenizer;
  /** The model's own chat template, null where it has none. */
  readonly chatTemplate: string | null;
  /** Text to ids, with the start token that the model wants (addSpecial: false leaves it out). */
  tokenize(text: string, options?: EncodeOptions): number[];
  detokenize(ids: readonly number[]): string;
  /** The ids that a prompt becomes. Throws ConfigError for messages when there is no template. */
  promptIds(prompt: Prompt, options?: EncodeOptions): number[];
  /**
   * Streams pieces; the generator's return value is the summary.
   *   for await (const { text } of model.generate('Once upon a time', { maxTokens: 50 })) process.stdout.write(text);
   */
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<Piece, Summary, void>;
  /** The same within a session: the prompt's ids are appended to what it has. */
  generateIn(session: Session, ids: readonly number[], options?: GenerateOptions): AsyncGenerator<Piece, Summary, void>;
  /**
   * Many generations at once, in shared steps; each has the text that `generate` gives it alone. Events come as they happen.
   *   for await (const e of model.generateMany([{ prompt: 'One' }, { prompt: 'Two' }])) if ('piece' in e) show(e.index, e.piece.text);
   */
  generateMany(requests: Iterable<ManyRequest>, options?: ManyOptions): AsyncGenerator<ManyEvent, void, void>;
  /** Logits of every position, [T, vocab]: Float32Array, from naive64 Float64Array. */
  logits(ids: readonly number[], options?: { readonly signal?: AbortSignal }): Promise<Logits>;
  /** An empty sequence with an explicit cache: append, truncate, fork. Dispose it when done. */
  createSession(options?: SessionOptions): Session;
  /** What the KV cache holds now: all sessions' positions, bytes, and where the form has them pages and hits. */
  cacheStats(): KvStats;
  /**
   * Reads a session that `Session.save` wrote, with the same model, in any cache form that keeps rows as they are. What comes next has the
   * bits that it would have had then.
   * Throws FormatError for a damaged file, ConfigError for one of another model, CapacityError when it does not fit.
   */
  restoreSession(source: ByteSource): Promise<{ readonly session: Session; readonly note: string }>;
  /** For tools that look inside (compare, bench): the graph's executor. */
  readonly executor: Executor;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A chat template, what renders it, and the texts of the two tokens that it may write. */
export interface ModelTemplate {
  readonly template: string;
  readonly render: typeof renderChat;
  readonly reasoning: Reasoning | null;
  readonly bosToken: string;
  readonly eosToken: string;
}

export interface ModelParts {
  readonly name: string;
  readonly description: ModelDescription;
  readonly executor: Executor;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ModelTemplate | null;
  readonly host: Host;
  readonly options: CheckedLoadOptions;
  readonly loadMs: number;
  close(): Promise<void>;
}

export function createModel(parts: ModelParts): Model {
  const { executor, tokenizer, host, description, options } = parts;
  const cache: KvCache = executor.createCache(options.maxSeq, onHost(options.kv, host));
  const forms = lazyForms(tokenizer);
  const reasoning = parts.chatTemplate?.reasoning;
  let isDisposed = false;

  const checkAlive = (): void => {
    if (isDisposed) throw new ConfigError(`model ${parts.name}: it is disposed; load it again`);
  };

  let fingerprint: Promise<Uint8Array> | undefined;
  const sessionParts: SessionParts = {
    executor,
    cache,
    host,
    prefillChunk: options.prefillChunk,
    async owner() {
      checkAlive();
      const { modelFingerprint } = await import('./fingerprint.ts'); // few sessions are saved
      fingerprint ??= modelFingerprint(description, options.activations, options.sums, options.maxSeq);
      return { cache, fingerprint: await fingerprint, vocab: description.config.vocab };
    },
    async diagnose(ids) {
      const { throwNonFinite } = await import('./diagnose.ts'); // only on the way to an error
      return throwNonFinite(executor, description.tensors, ids);
    },
  };

  const model: Model = {
    executor,
    tokenizer,
    chatTemplate: parts.chatTemplate?.template ?? null,
    get info() {
      return {
        name: parts.name,
        architecture: description.architecture,
        tier: executor.tier,
        kernels: executor.kernels,
        threads: executor.threads,
        vocab: description.config.vocab,
        maxSeq: options.maxSeq,
        maxContext: description.config.maxContext,
        ...executor.memory,
        cacheBytes: cache.bytesInUse,
        loadMs: parts.loadMs,
      };
    },
    tokenize: (text, encodeOptions) => tokenizer.encode(text, encodeOptions),
    detokenize: (ids) => tokenizer.decode(ids),
    promptIds(prompt, encodeOptions) {
      if (typeof prompt === 'string') return checkNotEmpty(tokenizer.encode(prompt, encodeOptions));
      if (typeof prompt !== 'object' || prompt === null || !('ids' in prompt || 'messages' in prompt)) {
        throw new ConfigError(`the prompt is ${String(prompt)}; give a text, {messages: [...]} or {ids: [...]}`);
      }
      if ('ids' in prompt) return checkNotEmpty([...prompt.ids]);
      const template = needChatTemplate(model.chatTemplate, `model ${parts.name}`);
      const { messages, ...given } = prompt;
      const { render, bosToken, eosToken } = parts.chatTemplate!;
      const text = render(template, messages, { ...given, bosToken, eosToken, addGenerationPrompt: true });
      return tokenizer.encode(text, { parseSpecial: true });
    },
    async *generate(prompt, generateOptions = {}) {
      checkAlive();
      const ids = model.promptIds(prompt);
      const session = model.createSession();
      // Not `using`: hosts that have no Symbol.dispose yet (Safari, the first of Node 20) would fail here.
      try {
        return yield* model.generateIn(session, ids, generateOptions);
      } finally {
        session.dispose();
      }
    },
    generateIn(session, ids, generateOptions = {}) {
      checkAlive();
      const corridor = { session, tokenizer, forms, host, maxSeq: options.maxSeq, reasoning };
      const { speculate, overflow, beams, lengthPenalty } = generateOptions;
      if (beams !== undefined || lengthPenalty !== undefined) {
        const { maxSeq } = options;
        return withBeams({ ...sessionParts, tokenizer, maxSeq }, session, ids, generateOptions);
      }
      if (speculate === undefined) {
        if (overflow === undefined) return generate(corridor, ids, generateOptions);
        return shifting(corridor, ids, { ...generateOptions, overflow });
      }
      if (overflow !== undefined) {
        throw new UnsupportedError(
          'speculate with overflow: a guess is not made in a context that moves; leave one out',
        );
      }
      if (!canTakeBack(options.kv)) {
        throw new UnsupportedError(
          'speculate with a KV cache that gives rows up (kv-evict) or rounds them late (kv-recent): a wrong guess cannot be taken back there; leave one of them out',
        );
      }
      return ahead(corridor, ids, { ...generateOptions, speculate });
    },
    generateMany(requests, manyOptions) {
      checkAlive();
      const { vocab } = description.config;
      const { promptIds } = model;
      const { maxSeq } = options;
      return together(
        { ...sessionParts, tokenizer, forms, maxSeq, reasoning, vocab, promptIds },
        requests,
        manyOptions,
      );
    },
    async logits(ids, { signal } = {}) {
      const session = model.createSession();
      try {
        return await session.append(ids, { logits: 'all', signal });
      } finally {
        session.dispose();
      }
    },
    cacheStats: () => cache.stats(),
    createSession(scope) {
      checkAlive();
      return createSession({ ...sessionParts, scope });
    },
    async restoreSession(source) {
      checkAlive();
      const { readSessionFile } = await import('./session_file.ts');
      const { ids, note, sequence } = await readSessionFile(source, await sessionParts.owner());
      return { session: createSession({ ...sessionParts, isRestored: true }, ids, sequence), note };
    },
    async dispose() {
      if (isDisposed) return;
      isDisposed = true;
      cache.dispose?.();
      executor.dispose();
      await parts.close();
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };
  return model;
}

/** Few texts are generated with guesses: the code is loaded with the first one. */
async function* ahead(...args: Parameters<typeof generateAhead>): ReturnType<typeof generateAhead> {
  const loaded = await import('./generate_ahead.ts');
  return yield* loaded.generateAhead(...args);
}

/** Loaded when a context is to be gone on with. */
async function* shifting(...args: Parameters<typeof generateShifting>): ReturnType<typeof generateShifting> {
  const loaded = await import('./generate_shifting.ts');
  return yield* loaded.generateShifting(...args);
}

/** Loaded with the first call. */
async function* together(...args: Parameters<typeof generateMany>): ReturnType<typeof generateMany> {
  const loaded = await import('./generate_many.ts');
  yield* loaded.generateMany(...args);
}

/** Loaded with the first search. */
async function* withBeams(...args: Parameters<typeof generateBeams>): ReturnType<typeof generateBeams> {
  const loaded = await import('./generate_beams.ts');
  return yield* loaded.generateBeams(...args);
}

/** A page file is made where the host has files, unless somewhere else was said. */
function onHost(kv: KvOptions, host: Host): KvOptions {
  return kv.kind === 'tiered' ? { ...kv, files: kv.files ?? host.scratch } : kv;
}

function checkNotEmpty(ids: number[]): number[] {
  if (ids.length > 0) return ids;
  throw new ConfigError('the prompt has no tokens and this model has no start token; give a prompt, or --ids');
}

import { CapacityError, KernelError } from '../core/errors.ts';
import type { Logits } from '../exec/executor.ts';
import type { FinishReason } from '../sample/stopping.ts';
import { checkSameVocabulary, draftProposer } from './draft.ts';
import { type Corridor, PAUSE_EVERY_MS, type Summary } from './generate.ts';
import { createPieceMaker, type GenerateOptions, type Piece, samplingOf } from './next_piece.ts';
import { checkSpeculate, DEFAULT_GUESS, lookupProposer, type Proposer, type SpeculateOptions } from './proposals.ts';

/**
 * The corridor with guesses (docs/speculation.md): the same pieces as `generate`, bit for bit, from fewer runs.
 *
 * One run takes the last token and a guess of those after it, and gives the logits of each place. Each token is chosen from them as
 * always; as long as it is the guessed one the next row is that of the sequence, and where it is not the rows behind are taken back.
 * Throws what generate throws, and ConfigError for guesses out of range and for a draft model of another vocabulary.
 */
export async function* generateAhead(
  corridor: Corridor,
  prompt: readonly number[],
  options: GenerateOptions & { readonly speculate: SpeculateOptions },
): AsyncGenerator<Piece, Summary, void> {
  const { session, tokenizer, forms, host, maxSeq, reasoning } = corridor;
  const { signal, speculate, maxTokens = Infinity } = options;
  checkSpeculate(speculate);
  const rooms8and9 = createPieceMaker(
    { tokenizer, forms: await forms([options]), maxSeq, reasoning, past: session.ids },
    prompt,
    options,
  );
  const proposer = proposerOf(corridor, options);

  const start = host.now();
  let genTokens = 0;
  let nRuns = 0;
  let nProposed = 0;
  let nAccepted = 0;
  /** The ids that are decided: the session may have guesses behind them. */
  let decided: number[] | undefined;
  try {
    let logits = await session.append(prompt, { signal });
    const promptDone = host.now();
    let lastPause = promptDone;
    let guess: readonly number[] = [];
    decided = [...session.ids];
    let finishReason: FinishReason | undefined;
    while (finishReason === undefined) {
      let row = 0;
      let id: number;
      for (;;) {
        signal?.throwIfAborted();
        const next = rooms8and9.next(rowOf(logits, row), decided);
        ({ finishReason } = next);
        ({ id } = next.piece);
        genTokens++;
        if (id === guess[row]) nAccepted++;
        yield next.piece;
        if (finishReason !== undefined || id !== guess[row]) break;
        decided.push(id);
        row++;
      }
      session.truncate(Math.min(decided.length, session.ids.length));
      if (finishReason !== undefined) break;

      decided.push(id);
      // A guess behind the last token that may come is never read; the token behind a whole guess is chosen without one.
      const most = Math.min(speculate.most ?? DEFAULT_GUESS, maxTokens - genTokens - 1, maxSeq - decided.length);
      guess = most > 0 ? await proposer.propose(decided, most, genTokens) : [];
      try {
        logits = await session.append([id, ...guess], { logits: 'all', signal });
      } catch (e) {
        // What is wrong with a guess is not wrong with the sequence.
        if (guess.length === 0 || !(e instanceof CapacityError || e instanceof KernelError)) throw e;
        guess = [];
        logits = await session.append([id], { signal });
      }
      nRuns++;
      nProposed += guess.length;
      if (host.now() - lastPause > PAUSE_EVERY_MS) {
        await host.pause();
        lastPause = host.now();
      }
    }
    return {
      finishReason,
      promptTokens: prompt.length,
      promptMs: promptDone - start,
      genTokens,
      genMs: host.now() - promptDone,
      ...(rooms8and9.isComplete !== undefined && { isComplete: rooms8and9.isComplete }),
      speculation: { nRuns, nProposed, nAccepted },
    };
  } finally {
    proposer.dispose();
    // Left early, between the pieces of one run: the session has what it has without guesses.
    if (decided !== undefined && session.ids.length > decided.length) session.truncate(decided.length);
  }
}

function proposerOf(
  { tokenizer }: Corridor,
  { speculate, ...options }: GenerateOptions & { readonly speculate: SpeculateOptions },
): Proposer {
  switch (speculate.kind) {
    case 'lookup':
      return lookupProposer(speculate);
    case 'draft':
      checkSameVocabulary(tokenizer, speculate.model);
      return draftProposer(speculate.model, samplingOf(options));
    default:
      return speculate satisfies never;
  }
}

function rowOf({ data, vocab }: Logits, row: number): Logits['data'] {
  return data.subarray(row * vocab, (row + 1) * vocab);
}

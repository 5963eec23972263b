import { CapacityError, ConfigError, KernelError } from '../core/errors.ts';
import { createRng } from '../core/rng.ts';
import type { SamplingOptions } from '../sample/options.ts';
import { sampleToken } from '../sample/sampler.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { DraftModel, Proposer } from './proposals.ts';

/**
 * The draft model draws its tokens as the large one will: with the same options, and with the very random numbers that the large
 * one draws with at these places. Where the two models' distributions are near each other, equal numbers mostly give equal tokens.
 */
export function draftProposer(draft: DraftModel, sampling: SamplingOptions): Proposer {
  const session = draft.createSession();
  return {
    async propose(ids, most, nDrawn) {
      const count = Math.min(most, draft.info.maxSeq - ids.length + 1);
      if (count <= 0) return [];
      const rng = createRng(sampling.seed, sampling.temperature === 0 ? 0 : nDrawn); // a token takes one number, at 0 none
      const history = [...ids];
      try {
        // The last id is always run: its logits are what is asked for.
        session.truncate(Math.min(commonLength(session.ids, ids), ids.length - 1));
        while (history.length < ids.length + count) {
          const { data } = await session.append(history.slice(session.ids.length));
          history.push(sampleToken(data, history, sampling, rng, null).id);
        }
      } catch (e) {
        // A draft that cannot go on guesses no more; the large model does.
        if (!(e instanceof CapacityError || e instanceof KernelError)) throw e;
      }
      return history.slice(ids.length);
    },
    dispose: () => session.dispose(),
  };
}

/** Throws ConfigError that names the first token in which two vocabularies differ. */
export function checkSameVocabulary(tokenizer: Tokenizer, draft: DraftModel): void {
  const other = draft.tokenizer;
  if (other === tokenizer) return;
  const name = `draft model ${draft.info.name}`;
  if (other.vocabSize !== tokenizer.vocabSize) {
    throw new ConfigError(
      `${name}: its vocabulary has ${other.vocabSize} tokens, the model's has ${tokenizer.vocabSize}; they must be the same`,
    );
  }
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const [own, its] = [tokenizer, other].map((t) => (t.hasId(id) ? JSON.stringify(t.piece(id)) : 'no token'));
    if (own !== its) {
      throw new ConfigError(
        `${name}: its token ${id} is ${its}, the model's is ${own}; the vocabularies must be the same`,
      );
    }
  }
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

import { type Corridor, generate, type Summary } from './generate.ts';
import type { GenerateOptions, Piece } from './next_piece.ts';
import { makeRoom, type ShiftOptions } from './overflow.ts';
import type { Session } from './session.ts';

/** Positions of a sequence that makes room for itself. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * The corridor through a session that drops its oldest tokens when it is full; a piece tells how many went before it was computed.
 * What never ends by itself ends when it has filled a context anew, unless maxTokens is given.
 * Throws what generate throws, but for a prompt that is too long, and ConfigError for sinks that are too many.
 */
export async function* generateShifting(
  corridor: Corridor,
  prompt: readonly number[],
  { overflow, ...options }: GenerateOptions & { readonly overflow: ShiftOptions },
): AsyncGenerator<Piece, Summary, void> {
  const { session, maxSeq } = corridor;
  let dropped = 0; // before the next piece
  const moving: Session = {
    ...session,
    append(ids, appendOptions) {
      const fitted = makeRoom(session, ids, maxSeq, overflow);
      dropped += fitted.dropped;
      return session.append(fitted.ids, appendOptions);
    },
  };
  const maxTokens = options.maxTokens ?? maxSeq;
  const stream = generate({ ...corridor, session: moving, maxSeq: NO_LIMIT }, prompt, { ...options, maxTokens });
  try {
    for (;;) {
      const step = await stream.next();
      if (step.done === true) return step.value;
      const piece = dropped === 0 ? step.value : { ...step.value, dropped };
      dropped = 0;
      yield piece;
    }
  } finally {
    await stream.return(undefined as never); // left early
  }
}

import { ConfigError } from '../core/errors.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface StreamOptions {
  /** Texts that end the stream: what comes before is given out, they and all after are not. Their order does not matter. */
  readonly stop?: readonly string[];
  /**
   * Ids that stand before the first pushed one (the prompt). They are not given out, but they decide how the stream begins:
   * after a prompt with text in it a leading space is kept, after nothing or special tokens alone it is dropped.
   */
  readonly context?: readonly number[];
  /** Special tokens that are written by name; they add no text otherwise. */
  readonly spelled?: ReadonlySet<number> | 'all';
}

/** Room 9: token ids in, text that is safe to show out. */
export interface StreamDecoder {
  /** The text that is now certain; often empty, never half a character, never the beginning of a stop string. */
  push(id: number): string;
  /** What was held back, at the end: an unfinished character as U+FFFD, an unfinished stop string as itself. */
  flush(): string;
  /** The stop string that ended the stream, null before. After it, push and flush give nothing. */
  readonly stopped: string | null;
}

const SPACE = 0x20;

/**
 * Decodes a growing list of ids.
 *
 * All pieces joined are `tokenizer.decode(ids)`, cut before the stop string that is completed first (of several completed by
 * the same character, the longest). With a context: what `decode(context + ids)` has beyond the characters that the context
 * completes.
 * Throws ConfigError for an empty stop string, for one that is not well-formed, and for ids outside the vocabulary.
 */
export function createStreamDecoder(tokenizer: Tokenizer, options: StreamOptions = {}): StreamDecoder {
  const stops = options.stop ?? [];
  for (const stop of stops) {
    if (stop === '' || /\p{Surrogate}/u.test(stop)) {
      throw new ConfigError(
        `stop string ${JSON.stringify(stop)} can never be found; give text of at least one character`,
      );
    }
  }
  // Decoding piecewise gives the same text as decoding at once: the standard's decoder carries its state over (WHATWG Encoding).
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  let atTextStart = tokenizer.dropsLeadingSpace;
  let held = ''; // text that may still turn out to begin a stop string
  let stopped: string | null = null;

  const { spelled } = options;
  const isSpelled = (id: number): boolean =>
    spelled !== undefined && tokenizer.isSpecial(id) && (spelled === 'all' || spelled.has(id));

  function decode(id: number): string {
    let bytes = isSpelled(id) ? new TextEncoder().encode(tokenizer.piece(id)) : tokenizer.bytes(id);
    if (bytes.length > 0 && atTextStart) {
      atTextStart = false;
      if (bytes[0] === SPACE) bytes = bytes.subarray(1);
    }
    return utf8.decode(bytes, { stream: true });
  }

  function release(fresh: string): string {
    const text = held + fresh;
    const hit = firstStop(text, stops);
    if (hit !== null) {
      stopped = hit.stop;
      held = '';
      return text.slice(0, hit.start);
    }
    const safe = text.length - heldLength(text, stops);
    held = text.slice(safe);
    return text.slice(0, safe);
  }

  for (const id of options.context ?? []) decode(id);

  return {
    get stopped() {
      return stopped;
    },
    push(id) {
      const fresh = decode(id); // also checks the id once the stream has stopped
      return stopped === null ? release(fresh) : '';
    },
    flush() {
      if (stopped !== null) return '';
      const text = release(utf8.decode()) + held;
      held = '';
      return text;
    },
  };
}

/** The stop string completed first in `text`, the longest of those completed by the same character. */
function firstStop(text: string, stops: readonly string[]): { stop: string; start: number } | null {
  let best: { stop: string; start: number; end: number } | null = null;
  for (const stop of stops) {
    const start = text.indexOf(stop);
    if (start < 0) continue;
    const end = start + stop.length;
    if (best === null || end < best.end || (end === best.end && start < best.start)) best = { stop, start, end };
  }
  return best;
}

/** Length of the longest end of `text` that begins one of `stops`. */
export function heldLength(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
      if (text.endsWith(stop.slice(0, n))) {
        longest = n;
        break;
      }
    }
  }
  return longest;
}

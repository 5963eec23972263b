import { CapacityError, ConfigError } from '../core/errors.ts';
import type { GenerateOptions } from '../engine/generate.ts';
import type { Model } from '../engine/model.ts';
import { type ShiftOptions, shiftIds } from '../engine/overflow.ts';
import type { ChatPrompt } from '../engine/prompt.ts';
import type { Session } from '../engine/session.ts';
import { DEFAULT_SINKS } from '../kvcache/lossy_options.ts';
import type { ChatMessage } from '../text/chat_template.ts';
import { collectPieces, type Generated, type OnDropped, type Show } from './collect_pieces.ts';

/** What one said; an answer may have the thoughts before it, which templates show again where they want to. */
export interface Message extends ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly reasoning_content?: string;
}

/** How a conversation is put to the model. */
export interface ConversationOptions {
  /** What every prompt has besides the messages: tools, variables of the template. */
  readonly shared: Pick<ChatPrompt, 'tools' | 'variables'>;
  /** Goes on when the context is full; without it that is refused. */
  readonly overflow: ShiftOptions | undefined;
}

export const PLAIN: ConversationOptions = { shared: {}, overflow: undefined };

export interface Conversation {
  readonly model: Model;
  readonly messages: readonly Message[];
  /** Adds a message of the user's, and the answer. After a throw the conversation is as before. */
  say(message: string, options: GenerateOptions, show: Show, onDropped?: OnDropped): Promise<Generated>;
  /** Takes back the last message of the user's and what came after it. Throws ConfigError when there is none. */
  undo(): void;
  /** Forgets all but the system message. */
  reset(): void;
  /** Another system message, or none, for all that comes; what was said stays. */
  setSystem(text: string | undefined): void;
  /** Tokens before the next message, and how many of them have rows in the cache. */
  tokens(): { readonly total: number; readonly cached: number };
  /** The conversation and its rows as a file; restored by Model.restoreSession. */
  save(): AsyncGenerator<Uint8Array, void, void>;
  dispose(): void;
}

/** A conversation that begins, or goes on after `messages`; the session has rows of as many of their tokens as it may. */
export function createConversation(
  model: Model,
  soFar: readonly Message[],
  { shared, overflow }: ConversationOptions = PLAIN,
  session: Session = model.createSession(),
): Conversation {
  const now = new Date(); // once: a template that writes the date would else change old turns at midnight
  let messages = soFar;
  let nDropped = 0; // tokens that the last prompt, and the answer to it, had to do without
  const systemOf = (all: readonly Message[]): readonly Message[] =>
    all.filter(({ role }, i) => i === 0 && role === 'system');
  const idsOf = (all: readonly Message[]): number[] => model.promptIds({ ...shared, messages: all, now });
  const withUser = (all: readonly Message[], content: string): readonly Message[] => [
    ...all,
    { role: 'user', content },
  ];
  /** The tokens of a conversation up to where the next message of the user's begins. */
  const idsBefore = (all: readonly Message[]): number[] => {
    const [a, b] = [idsOf(withUser(all, 'a')), idsOf(withUser(all, 'b'))];
    return a.slice(0, commonLength(a, b));
  };
  /** Never dropped: the sinks, and the system message with what is around it. */
  const shiftOf = ({ sinks = DEFAULT_SINKS }: ShiftOptions): ShiftOptions => {
    const system = systemOf(messages);
    return { kind: 'shift', sinks: system.length === 0 ? sinks : Math.max(sinks, idsBefore(system).length) };
  };

  return {
    model,
    get messages() {
      return messages;
    },
    async say(message, options, show, onDropped = () => {}) {
      const asked = withUser(messages, message);
      const ids = idsOf(asked);
      const { maxSeq } = model.info;
      const shift = overflow && shiftOf(overflow);
      if (shift === undefined && ids.length > maxSeq) throw tooLong(ids.length, model);
      const kept = shift === undefined ? { ids, dropped: 0 } : shiftIds(ids, maxSeq, shift);
      if (kept.dropped > nDropped) onDropped(kept.dropped - nDropped);
      nDropped = kept.dropped;
      const fresh = keepCommonPrefix(session, kept.ids);
      const generation = model.generateIn(session, fresh, { ...options, reasoning: true, overflow: shift });
      const result = await collectPieces(generation, fresh.length, show, (nTokens) => {
        nDropped += nTokens;
        onDropped(nTokens);
      });
      const { text: content, reasoning } = result;
      messages = [...asked, { role: 'assistant', content, ...(reasoning !== '' && { reasoning_content: reasoning }) }];
      return result;
    },
    undo() {
      const last = messages.findLastIndex(({ role }) => role === 'user');
      if (last < 0) throw new ConfigError('/undo: nothing was said yet; there is nothing to take back');
      const rest = messages.slice(0, last);
      session.truncate(commonLength(session.ids, idsBefore(rest)));
      messages = rest;
    },
    reset() {
      messages = systemOf(messages);
      session.truncate(0);
    },
    setSystem(text) {
      const rest = messages.slice(systemOf(messages).length);
      const changed = text === undefined ? rest : [{ role: 'system', content: text }, ...rest];
      idsBefore(changed); // a template that takes no system message says so now
      messages = changed;
    },
    tokens() {
      const ids = messages.length === 0 ? [] : idsBefore(messages);
      return { total: ids.length, cached: session.ids.length };
    },
    save: () => session.save(JSON.stringify(messages)),
    dispose: () => session.dispose(),
  };
}

function tooLong(nTokens: number, { info: { maxSeq, maxContext } }: Model): CapacityError {
  const more = maxSeq < maxContext ? `, raise --max-seq (at most ${maxContext})` : '';
  return new CapacityError(
    `the conversation has ${nTokens} tokens, the context has room for maxSeq=${maxSeq}; shorten the message, /undo or /clear${more}, or drop the oldest tokens with --overflow shift`,
  );
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let common = 0;
  while (common < Math.min(a.length, b.length) && a[common] === b[common]) common++;
  return common;
}

/**
 * Truncates the session to what it shares with `ids`, and gives the rest, which is to be appended. A template may render an
 * old turn anew in other words (drop its thoughts, trim it): then the tokens from there on are run again. At least one id is
 * left to run, since its logits are needed.
 */
export function keepCommonPrefix(session: Pick<Session, 'ids' | 'truncate'>, ids: readonly number[]): number[] {
  const common = Math.min(commonLength(session.ids, ids), ids.length - 1);
  session.truncate(common);
  return ids.slice(common);
}

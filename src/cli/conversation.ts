import { ConfigError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import type { GenerateOptions } from '../engine/generate.ts';
import type { Model } from '../engine/model.ts';
import type { Session } from '../engine/session.ts';
import type { ChatMessage } from '../text/chat_template.ts';
import { collectPieces, type Generated } from './collect_pieces.ts';

export interface Conversation {
  readonly model: Model;
  /** Adds a message of the user's, and the answer. After a throw the conversation is as before. */
  say(message: string, options: GenerateOptions, show: (text: string) => void): Promise<Generated>;
  reset(): void;
  /** The conversation as a file, for `restoreConversation`. */
  save(): AsyncGenerator<Uint8Array, void, void>;
  dispose(): void;
}

/** The messages so far, and a session whose cache holds as many of their tokens as possible. */
export function createConversation(model: Model, system: string | undefined): Conversation {
  const start: readonly ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  return converse(model, start, start, model.createSession());
}

/**
 * Goes on where a file ends. `reset` then begins with the file's system message, if it has one.
 * Throws as Model.restoreSession, and ConfigError when the file holds no conversation.
 */
export async function restoreConversation(model: Model, file: ByteSource): Promise<Conversation> {
  const { session, note } = await model.restoreSession(file);
  try {
    const messages = readMessages(note, file.name);
    return converse(
      model,
      messages.filter(({ role }, i) => i === 0 && role === 'system'),
      messages,
      session,
    );
  } catch (e) {
    session.dispose();
    throw e;
  }
}

function converse(
  model: Model,
  start: readonly ChatMessage[],
  soFar: readonly ChatMessage[],
  session: Session,
): Conversation {
  const now = new Date(); // once: a template that writes the date would else change old turns at midnight
  let messages = soFar;
  return {
    model,
    async say(message, options, show) {
      const asked = [...messages, { role: 'user', content: message }];
      const fresh = keepCommonPrefix(session, model.promptIds({ messages: asked, now }));
      const result = await collectPieces(model.generateIn(session, fresh, options), fresh.length, show);
      messages = [...asked, { role: 'assistant', content: result.text }];
      return result;
    },
    reset() {
      messages = start;
      session.truncate(0);
    },
    save: () => session.save(JSON.stringify(messages)),
    dispose: () => session.dispose(),
  };
}

/** The file may be anybody's: what is no list of messages is refused. */
function readMessages(note: string, name: string): ChatMessage[] {
  let value: unknown;
  try {
    value = JSON.parse(note);
  } catch {
    value = undefined;
  }
  const isMessage = (m: unknown): m is ChatMessage =>
    typeof m === 'object' &&
    m !== null &&
    'role' in m &&
    'content' in m &&
    [m.role, m.content].every((v) => typeof v === 'string');
  if (!Array.isArray(value) || !value.every(isMessage)) {
    throw new ConfigError(`${name}: is a session, but not of a chat; give one that chat --save-session wrote`);
  }
  return value.map(({ role, content }) => ({ role, content }));
}

/**
 * Truncates the session to what it shares with `ids`, and gives the rest, which is to be appended. A template may render an
 * old turn anew in other words (drop its thoughts, trim it): then the tokens from there on are run again. At least one id is
 * left to run, since its logits are needed.
 */
export function keepCommonPrefix(session: Pick<Session, 'ids' | 'truncate'>, ids: readonly number[]): number[] {
  let common = 0;
  const most = Math.min(session.ids.length, ids.length - 1);
  while (common < most && session.ids[common] === ids[common]) common++;
  session.truncate(common);
  return ids.slice(common);
}

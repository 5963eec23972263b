import { ConfigError, FormatError, isGlassformerError, UnsupportedError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import type { Model } from '../engine/model.ts';
import { type JsonValue, readJsonObject } from '../load/json_file.ts';
import { openNodeFile } from '../platform/node_file.ts';
import { type Conversation, type ConversationOptions, createConversation, type Message } from './conversation.ts';
import { beginOutputFile, type OutputFile } from './output_file.ts';

// A conversation in a file, in one of two forms. NAME.json has the messages, for people and other programs, and for any model; any
// other name has the messages and the computed rows, for this model alone: going on from it costs new tokens only.

const FORMAT = 'glassformer-chat';
const VERSION = 1;
/** "{", which no session file begins with. */
const BRACE = 0x7b;

/** Whether a conversation is saved there as JSON. */
export function isJson(path: string): boolean {
  return path.toLowerCase().endsWith('.json');
}

/** Whether a file that is to be gone on from has computed rows, as far as its first byte says. Throws ConfigError when it is not there. */
export async function hasRows(path: string): Promise<boolean> {
  const file = await openNodeFile(path);
  try {
    return !(await beginsWithBrace(file));
  } finally {
    await file.close();
  }
}

async function beginsWithBrace(file: ByteSource): Promise<boolean> {
  const first = new Uint8Array(1);
  if (file.size > 0) await file.read(0, first);
  return first[0] === BRACE;
}

/** Writes the conversation to a file that was begun, and gives it its name. What cannot be written leaves nothing behind. */
export async function saveChat(path: string, file: OutputFile, conversation: Conversation): Promise<void> {
  try {
    if (isJson(path)) {
      const { messages, model } = conversation;
      const json = { format: FORMAT, version: VERSION, model: model.info.name, messages };
      await file.write(new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`));
    } else for await (const bytes of conversation.save()) await file.write(bytes);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** Begins and writes it. Throws what beginOutputFile and Session.save throw. */
export async function saveChatTo(path: string, conversation: Conversation): Promise<void> {
  await saveChat(path, await beginOutputFile(path), conversation);
}

/**
 * A conversation that goes on where a file ends; which form it has, its first byte says.
 * Throws as Model.restoreSession and readJsonObject do, ConfigError for a file that holds no conversation, UnsupportedError for one of a
 * later version.
 */
export async function loadChat(model: Model, path: string, options: ConversationOptions): Promise<Conversation> {
  const file = await openNodeFile(path);
  try {
    if (await beginsWithBrace(file))
      return createConversation(model, jsonMessages(await readJsonObject(file), path), options);
    const { session, note } = await model.restoreSession(file);
    try {
      return createConversation(model, noteMessages(note, path), options, session);
    } catch (error) {
      session.dispose();
      throw error;
    }
  } finally {
    await file.close();
  }
}

function jsonMessages(
  { format, version, messages }: { readonly [key: string]: JsonValue | undefined },
  name: string,
): Message[] {
  if (format !== FORMAT) {
    const found = format === undefined ? 'has no format' : `has the format ${JSON.stringify(format)}`;
    throw new ConfigError(`${name}: ${found}, a conversation has "${FORMAT}"; give a file that /save wrote`);
  }
  if (version !== VERSION) {
    throw new UnsupportedError(`${name}: is of version ${JSON.stringify(version)}, this program reads ${VERSION}`);
  }
  return readMessages(messages, name);
}

function noteMessages(note: string, name: string): Message[] {
  let value: unknown;
  try {
    value = JSON.parse(note);
  } catch {
    value = undefined;
  }
  if (!Array.isArray(value)) {
    throw new ConfigError(`${name}: is a session, but not of a chat; give one that /save or --save-session wrote`);
  }
  return readMessages(value, name);
}

const FIELDS: readonly string[] = ['role', 'content', 'reasoning_content'];

/** The file may be anybody's: what is no list of messages is refused, with its place. */
function readMessages(value: unknown, name: string): Message[] {
  if (!Array.isArray(value)) throw new ConfigError(`${name}: messages is no list; give a file that /save wrote`);
  return value.map((message: unknown, i) => {
    const entries = typeof message === 'object' && message !== null ? Object.entries(message) : [];
    const known = Object.fromEntries(entries.filter(([, text]) => typeof text === 'string'));
    const { role, content } = known as { role?: string; content?: string };
    const strange = entries.find(([key, text]) => !FIELDS.includes(key) || typeof text !== 'string');
    if (role === undefined || content === undefined || strange !== undefined) {
      const what = strange === undefined ? 'lacks role or content' : `has ${JSON.stringify(strange[0])}`;
      throw new ConfigError(
        `${name}: message ${i + 1} ${what}; a message has the texts ${FIELDS.join(', ')}, the last one where there were thoughts`,
      );
    }
    return known as unknown as Message;
  });
}

/** Tools that a model is shown: a JSON list of objects. Throws ConfigError for anything else. */
export async function readTools(path: string): Promise<object[]> {
  const file = await openNodeFile(path);
  try {
    const bytes = new Uint8Array(file.size);
    await file.read(0, bytes);
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      throw new FormatError(`--tools ${path}: is not JSON (${(error as Error).message})`, 0);
    }
    if (
      !Array.isArray(value) ||
      value.some((tool) => typeof tool !== 'object' || tool === null || Array.isArray(tool))
    ) {
      throw new ConfigError(`--tools ${path}: must be a list of objects, each the description of a function`);
    }
    return value as object[];
  } catch (error) {
    throw isGlassformerError(error) ? error : new ConfigError(`--tools ${path}: ${(error as Error).message}`);
  } finally {
    await file.close();
  }
}

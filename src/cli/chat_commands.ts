import { ConfigError } from '../core/errors.ts';
import type { Model } from '../engine/model.ts';
import { loadChat, saveChatTo } from './chat_file.ts';
import type { Conversation, ConversationOptions } from './conversation.ts';
import { plural, showCount } from './format.ts';

export const HELP = `/save FILE    write the conversation; FILE.json: its messages alone
/load FILE    go on with a conversation that was written
/undo         take back the last message and its answer
/tokens       how much of the context is taken
/system       show the system message; /system TEXT sets it, /system - removes it
/clear        begin a new conversation (also /reset)
/help         this list
/exit         leave (also /quit, Ctrl-D)
Ctrl-C stops an answer, twice leaves. A line that ends with \\ goes on in the next; so does all between """ and """.
A line that begins with // is sent with one of them.
`;

/** What a chat is at the moment; /load puts another conversation in its place. */
export interface Chat {
  readonly model: Model;
  readonly options: ConversationOptions;
  conversation: Conversation;
  /** Shows something to whoever types, not among the answers. */
  readonly tell: (text: string) => void;
}

/**
 * Runs a command of the chat; true when it was the last one. Throws ConfigError for one that is not there or lacks what it needs, and what
 * its work throws; the conversation is as before then.
 */
export async function runChatCommand(chat: Chat, name: string, argument: string): Promise<boolean> {
  const { conversation, tell } = chat;
  switch (name) {
    case 'exit':
    case 'quit':
      return true;
    case 'help':
      tell(HELP.trimEnd());
      return false;
    case 'clear':
    case 'reset':
      conversation.reset();
      return false;
    case 'undo':
      conversation.undo();
      tell(`${plural(conversation.messages.length, 'message')} left`);
      return false;
    case 'tokens':
      tell(tokensLine(conversation));
      return false;
    case 'system':
      runSystem(chat, argument);
      return false;
    case 'save':
      await saveChatTo(needFile(name, argument), conversation);
      tell(`saved ${plural(conversation.messages.length, 'message')} to ${argument}`);
      return false;
    case 'load':
      chat.conversation = await loadChat(chat.model, needFile(name, argument), chat.options);
      conversation.dispose();
      tell(`loaded ${plural(chat.conversation.messages.length, 'message')} from ${argument}`);
      return false;
    default:
      throw new ConfigError(`there is no command /${name}; /help lists them, and // sends a line that begins with /`);
  }
}

function runSystem({ conversation, tell }: Chat, argument: string): void {
  if (argument !== '') conversation.setSystem(argument === '-' ? undefined : argument);
  const [first] = conversation.messages;
  tell(first?.role === 'system' ? `system: ${first.content}` : 'there is no system message');
}

function tokensLine(conversation: Conversation): string {
  const { total, cached } = conversation.tokens();
  const { maxSeq } = conversation.model.info;
  const share = ((100 * total) / maxSeq).toFixed(1);
  return (
    `${plural(total, 'token')} before the next message, of ${showCount(maxSeq)} (${share} %); ` +
    `${plural(conversation.messages.length, 'message')}, ${showCount(cached)} positions in the cache`
  );
}

function needFile(name: string, argument: string): string {
  if (argument !== '') return argument;
  throw new ConfigError(`/${name} needs a file; write /${name} FILE`);
}

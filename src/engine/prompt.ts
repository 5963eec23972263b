import type { ChatMessage, ChatOptions } from '../text/chat_template.ts';

/** What a generation starts from: text, a conversation, or exact ids. */
export type Prompt = string | ChatPrompt | { readonly ids: readonly number[] };

/** A conversation, and what its template may ask for: today's date (a clock that stands still), tools, switches of its own. */
export interface ChatPrompt extends Pick<ChatOptions, 'now' | 'tools' | 'variables'> {
  readonly messages: readonly ChatMessage[];
}

import { heldLength } from './stream_decoder.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What a text is: what a model tells itself first, or what it answers. */
export type TextKind = 'reasoning' | 'answer';

export interface TextPart {
  readonly kind: TextKind;
  readonly text: string;
}

/** The words between which a model thinks. */
export interface ReasoningMarkers {
  readonly open: string;
  readonly close: string;
}

/** Known pairs. A model has the first one that its chat template writes or looks for. */
export const REASONING_MARKERS: readonly ReasoningMarkers[] = [
  { open: '<think>', close: '</think>' }, // Qwen3, QwQ, DeepSeek R1, SmolLM3, Granite 3.2 and later
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' }, // Command R7B, Command A
  { open: '[THINK]', close: '[/THINK]' }, // Magistral
  { open: '<seed:think>', close: '</seed:think>' }, // Seed-OSS
];

/** How one model thinks. */
export interface Reasoning {
  /** Markers that are special tokens, which add no text: these have to be spelled, or they would be missed. */
  readonly spelled: ReadonlySet<number>;
  /** A splitter for what comes after a prompt, which may have opened a thought. */
  begin(prompt: readonly number[]): ReasoningSplitter;
}

/** By the model's template; null where it writes no marker: what such a model says is all answer. Walks the vocabulary once. */
export function reasoningOf(template: string, tokenizer: Tokenizer): Reasoning | null {
  const markers = REASONING_MARKERS.find(({ open, close }) => template.includes(open) || template.includes(close));
  if (markers === undefined) return null;
  const spelled = new Set<number>();
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (!tokenizer.hasId(id) || !tokenizer.isSpecial(id)) continue;
    const piece = tokenizer.piece(id);
    if (piece === markers.open || piece === markers.close) spelled.add(id);
  }
  return { spelled, begin: (prompt) => createReasoningSplitter(markers, endsOpened(markers, tokenizer, prompt)) };
}

/** Tokens in which the end of a prompt surely shows an open marker: most markers are one token, none has as many. */
const TAIL = 32;

/** Whether a prompt ends with an opened thought, as DeepSeek R1's does. Only its very end counts: a user may write anything. */
export function endsOpened({ open }: ReasoningMarkers, tokenizer: Tokenizer, prompt: readonly number[]): boolean {
  return tokenizer.decode(prompt.slice(-TAIL), { skipSpecial: false }).trimEnd().endsWith(open);
}

export interface ReasoningSplitter {
  /** What is certain now: no part is half a marker. */
  push(text: string): TextPart[];
  /** What was held back, at the end: half a marker is text. */
  flush(): TextPart[];
}

/**
 * Tells thoughts from the answer in a text that comes piece by piece; the pieces may cut it anywhere, within a marker too.
 *
 *   [blanks] open [blanks] thoughts [blanks] close [blanks] answer
 *
 * Markers and the blanks beside them are left out. The open marker counts at the start only, where none but blanks came before;
 * from there, everything until the close marker is reasoning, to the end where it never comes. What follows is answer, other markers
 * included. isOpened: the prompt has the open marker.
 */
export function createReasoningSplitter({ open, close }: ReasoningMarkers, isOpened: boolean): ReasoningSplitter {
  let state: 'start' | 'thinking' | 'thoughts' | 'closed' | 'answer' = isOpened ? 'thinking' : 'start';
  let held = '';

  /** One step of the machine on `held`; null: more text is needed. */
  function step(): TextPart | null {
    switch (state) {
      case 'start': {
        const text = held.trimStart();
        if (text.startsWith(open)) {
          held = text.slice(open.length);
          state = 'thinking';
          return step();
        }
        if (open.startsWith(text)) return null;
        state = 'answer';
        return step();
      }
      case 'thinking':
      case 'closed':
        held = held.trimStart();
        if (held === '') return null;
        state = state === 'thinking' ? 'thoughts' : 'answer';
        return step();
      case 'thoughts': {
        const end = held.indexOf(close);
        const safe = end < 0 ? held.length - heldLength(held, [close]) : end;
        const text = held.slice(0, safe).trimEnd();
        held = end < 0 ? held.slice(text.length) : held.slice(end + close.length);
        if (end >= 0) state = 'closed';
        if (text !== '') return { kind: 'reasoning', text };
        return end >= 0 ? step() : null;
      }
      case 'answer': {
        if (held === '') return null;
        const text = held;
        held = '';
        return { kind: 'answer', text };
      }
      default:
        return state satisfies never;
    }
  }

  return {
    push(text) {
      held += text;
      const parts: TextPart[] = [];
      for (let part = step(); part !== null; part = step()) parts.push(part);
      return parts;
    },
    flush() {
      const text = held;
      held = '';
      if (text === '') return [];
      if (state === 'thoughts') return text.trim() === '' ? [] : [{ kind: 'reasoning', text: text.trimEnd() }];
      return state === 'start' ? [{ kind: 'answer', text }] : [];
    },
  };
}

import type { AddedToken } from './tokenizer_json.ts';

/** A stretch of text, either plain or one added token. */
export type Section = { readonly text: string; readonly id: null } | { readonly text: string; readonly id: number };

export type SectionSplitter = (text: string) => Section[];

interface TrieNode {
  readonly next: Map<number, TrieNode>;
  token: AddedToken | null;
}

const WORD_CHAR = /[\p{L}\p{N}\p{M}_]/u;

/**
 * Cuts added tokens out of a text: at each place the longest one that matches, from left to right.
 *
 * `patterns` holds, for each token, the text under which it is found: its content, or the normalized form of that.
 * Time is linear in the text for given tokens (each place walks at most as deep as the longest token). A token that takes
 * white space (lstrip, rstrip) shortens its plain neighbours; empty plain sections are left out.
 */
export function sectionSplitter(tokens: readonly AddedToken[], patterns: readonly string[]): SectionSplitter {
  const root: TrieNode = { next: new Map(), token: null };
  tokens.forEach((token, i) => {
    const pattern = patterns[i]!;
    if (pattern === '') return; // an empty token would match everywhere and never advance
    let node = root;
    for (let k = 0; k < pattern.length; k++) {
      const unit = pattern.charCodeAt(k);
      let child = node.next.get(unit);
      if (child === undefined) {
        child = { next: new Map(), token: null };
        node.next.set(unit, child);
      }
      node = child;
    }
    node.token = token;
  });
  if (root.next.size === 0) return (text) => (text === '' ? [] : [{ text, id: null }]);

  return (text) => {
    const sections: Section[] = [];
    let start = 0; // of the plain section being read
    const pushPlain = (end: number) => {
      if (end > start) sections.push({ text: text.slice(start, end), id: null });
    };
    for (let i = 0; i < text.length; ) {
      const found = longestMatch(root, text, i);
      if (found === null) {
        i++;
        continue;
      }
      let left = i;
      if (found.token.lstrip) while (left > start && isWhiteSpace(text, left - 1)) left--;
      pushPlain(left);
      sections.push({ text: text.slice(i, found.end), id: found.token.id });
      i = found.end;
      if (found.token.rstrip) while (i < text.length && isWhiteSpace(text, i)) i++;
      start = i;
    }
    pushPlain(text.length);
    return sections;
  };
}

function longestMatch(root: TrieNode, text: string, from: number): { token: AddedToken; end: number } | null {
  let node: TrieNode | undefined = root;
  let best: { token: AddedToken; end: number } | null = null;
  for (let i = from; i < text.length; i++) {
    node = node.next.get(text.charCodeAt(i));
    if (node === undefined) break;
    if (node.token !== null && (!node.token.singleWord || standsAlone(text, from, i + 1))) {
      best = { token: node.token, end: i + 1 };
    }
  }
  return best;
}

function standsAlone(text: string, from: number, end: number): boolean {
  const before = /.$/su.exec(text.slice(Math.max(0, from - 2), from))?.[0];
  const after = text.codePointAt(end);
  const touches = (char: string | undefined) => char !== undefined && WORD_CHAR.test(char);
  return !touches(before) && !touches(after === undefined ? undefined : String.fromCodePoint(after));
}

function isWhiteSpace(text: string, at: number): boolean {
  return /\p{White_Space}/u.test(text[at]!);
}

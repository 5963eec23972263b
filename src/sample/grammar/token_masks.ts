import { assert, ConfigError } from '../../core/errors.ts';
import type { TokenMask } from '../logits.ts';
import type { Grammar } from './expression.ts';
import { type GrammarState, type GrammarStates, grammarStates } from './states.ts';
import type { TokenTrie } from './token_trie.ts';

/** What a grammar needs to know of a vocabulary. */
export interface GrammarVocabulary {
  readonly trie: TokenTrie;
  /** What a token adds to the text. */
  bytesOf(id: number): Uint8Array;
}

/** A grammar over one vocabulary, with what is remembered of it: for any number of texts, one after the other or in turns. */
export interface GrammarMasks {
  /** A new text. */
  begin(options: TextOptions): GrammarText;
  /** Whether this is a text of the grammar, from its first byte to its last. */
  accepts(bytes: Uint8Array): boolean;
  /** Bytes of states and masks that are remembered: at most MAX_STATE_BYTES and MAX_MASK_BYTES, one of each aside. */
  readonly bytesInUse: number;
}

export interface TextOptions {
  /** Tokens that end the text and add nothing to it: allowed where the grammar may end, and nowhere else. */
  readonly endIds: Iterable<number>;
  /** A space that begins the first token is not shown, so the grammar does not see it either. */
  readonly dropsLeadingSpace?: boolean;
}

/** One text that is being written, token by token. */
export interface GrammarText {
  /** The tokens that may come next; valid until the next call. */
  mask(): TokenMask;
  /** Takes an allowed token that is no end token. Throws ConfigError for another. */
  accept(id: number): void;
  /** The text so far is one of the grammar. */
  readonly mayEnd: boolean;
  /** It is, and nothing can follow. */
  readonly mustEnd: boolean;
}

/** Of a vocabulary of 152,000 a mask takes 19 kB: some 400 of them. When they are more, all are forgotten and made anew. */
export const MAX_MASK_BYTES = 1 << 23;

const SPACE = 0x20;

/**
 * Throws ConfigError for left recursion and for a grammar without texts, CapacityError for one that is too large; `mask` throws
 * CapacityError for one that is too ambiguous.
 */
export function grammarMasks(grammar: Grammar, vocabulary: GrammarVocabulary): GrammarMasks {
  const states = grammarStates(grammar);
  const { trie, bytesOf } = vocabulary;
  let masks = new WeakMap<GrammarState, Uint32Array>();
  let maskBytes = 0;

  function textMask(state: GrammarState): Uint32Array {
    const known = masks.get(state);
    if (known !== undefined) return known;
    if (maskBytes + (trie.vocab >>> 3) > MAX_MASK_BYTES) {
      masks = new WeakMap();
      maskBytes = 0;
    }
    const mask = new Uint32Array(Math.ceil(trie.vocab / 32));
    allowTokens(states, trie, state, 0, mask);
    masks.set(state, mask);
    maskBytes += mask.byteLength;
    return mask;
  }

  function read(from: GrammarState, bytes: Uint8Array): GrammarState | null {
    let state: GrammarState | null = from;
    for (let i = 0; i < bytes.length && state !== null; i++) state = states.step(state, states.classOf[bytes[i]!]!);
    return state;
  }

  return {
    get bytesInUse() {
      return states.bytesInUse + maskBytes;
    },
    accepts: (bytes) => {
      states.beginWalk();
      return read(states.start, bytes)?.mayEnd === true;
    },
    begin({ endIds, dropsLeadingSpace = false }) {
      const ends = [...endIds];
      const bits = new Uint32Array(Math.ceil(trie.vocab / 32));
      let state = states.start;
      let isFirst = dropsLeadingSpace;
      return {
        get mayEnd() {
          return state.mayEnd;
        },
        get mustEnd() {
          return state.mustEnd;
        },
        mask() {
          bits.set(textMask(state));
          if (isFirst) allowSpacedTokens(states, trie, state, bits);
          for (const id of ends) setBit(bits, id, state.mayEnd);
          return { bits, why: 'the grammar' };
        },
        accept(id) {
          assert(!ends.includes(id), `end token ${id} is not a part of the text`);
          const all = bytesOf(id);
          const bytes = isFirst && all[0] === SPACE ? all.subarray(1) : all;
          states.beginWalk();
          const next = bytes.length === 0 ? null : read(state, bytes);
          if (next === null) throw new ConfigError(`the grammar does not allow token id ${id} here`);
          isFirst = false;
          state = next;
        },
      };
    },
  };
}

/** Sets the bits of the tokens below `root` whose bytes lead from `state` somewhere. One pass over the tree, dead branches skipped. */
function allowTokens(
  states: GrammarStates,
  trie: TokenTrie,
  state: GrammarState,
  root: number,
  bits: Uint32Array,
): void {
  const { byte, depth, end, tokens, firstToken } = trie;
  const { classOf } = states;
  const last = end[root]!;
  const rootDepth = depth[root]!;
  const path: GrammarState[] = [state];
  states.beginWalk();
  let node = root + 1;
  while (node < last) {
    const at = depth[node]! - rootDepth;
    const next = states.step(path[at - 1]!, classOf[byte[node]!]!);
    if (next === null) {
      node = end[node]!;
      continue;
    }
    path[at] = next;
    const after = firstToken[node + 1]!;
    for (let i = firstToken[node]!; i < after; i++) setBit(bits, tokens[i]!, true);
    node++;
  }
}

/** The same for the first token of a text whose leading space is dropped: it counts from behind the space. */
function allowSpacedTokens(states: GrammarStates, trie: TokenTrie, state: GrammarState, bits: Uint32Array): void {
  for (let node = 1; node < trie.nNodes; node = trie.end[node]!) {
    if (trie.byte[node] !== SPACE) continue;
    for (let i = trie.firstToken[node]!; i < trie.firstToken[trie.end[node]!]!; i++) {
      setBit(bits, trie.tokens[i]!, false);
    }
    allowTokens(states, trie, state, node, bits);
  }
}

function setBit(bits: Uint32Array, id: number, isSet: boolean): void {
  const bit = 1 << (id & 31);
  if (isSet) bits[id >>> 5]! |= bit;
  else bits[id >>> 5]! &= ~bit;
}

/** Where one reading of a text stands: at a node of a rule, and the context that the rule was called in. */
export interface Place {
  readonly node: number;
  readonly context: Context;
}

/**
 * What follows when a rule has been read: the places behind its call, of all calls that were made at the same point of the text, for
 * they all wait for the same thing. Equal contexts are one object while they are known, so comparing is `===`.
 */
export interface Context {
  readonly id: number;
  /** By rising id of their contexts, then by node. */
  readonly returns: readonly Place[];
  /** The whole text may end with the rule. */
  readonly mayEnd: boolean;
  /** Calls around it, on the shallowest way out. */
  readonly depth: number;
}

/** What an object, and a slot with a place in it, take in a JavaScript engine, rounded up. */
const CONTEXT_BYTES = 128;
const RETURN_BYTES = 56;

/** All contexts that are known. */
export class Contexts {
  /** Around the rule of the whole text. */
  readonly root: Context = { id: 0, returns: [], mayEnd: true, depth: 0 };
  bytesInUse = 0;
  readonly #known = new Map<number, Context[]>();
  #nextId = 1;

  /** returns: in any order, also more than once. */
  of(returns: readonly Place[], mayEnd: boolean): Context {
    if (mayEnd && returns.length === 0) return this.root;
    const sorted = sortedPlaces(returns);
    const hash = hashOf(sorted, mayEnd);
    const alike = this.#known.get(hash) ?? [];
    const known = alike.find((other) => other.mayEnd === mayEnd && areSamePlaces(other.returns, sorted));
    if (known !== undefined) return known;
    const shallowest = sorted.reduce((least, { context }) => Math.min(least, context.depth), Infinity);
    const context = { id: this.#nextId++, returns: sorted, mayEnd, depth: mayEnd ? 0 : shallowest + 1 };
    alike.push(context);
    this.#known.set(hash, alike);
    this.bytesInUse += CONTEXT_BYTES + RETURN_BYTES * sorted.length;
    return context;
  }

  forget(): void {
    this.#known.clear();
    this.bytesInUse = 0;
  }
}

/** By rising id of their contexts, then by node, each once. */
export function sortedPlaces(places: readonly Place[]): Place[] {
  return [...places]
    .sort((a, b) => a.context.id - b.context.id || a.node - b.node)
    .filter((place, i, all) => i === 0 || !isSamePlace(place, all[i - 1]!));
}

export function areSamePlaces(a: readonly Place[], b: readonly Place[]): boolean {
  return a.length === b.length && a.every((place, i) => isSamePlace(place, b[i]!));
}

/** 32 bits, of places in their order. */
export function hashOf(places: readonly Place[], mayEnd: boolean): number {
  let hash = mayEnd ? 1 : 0;
  for (const { node, context } of places) {
    // Multiplicative mixing, with the constants of MurmurHash3's finalizer.
    hash = Math.imul(hash ^ node, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ context.id, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash;
}

function isSamePlace(a: Place, b: Place): boolean {
  return a.node === b.node && a.context === b.context;
}

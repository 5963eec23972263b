import { CapacityError, ConfigError } from '../../core/errors.ts';
import type { Grammar } from './expression.ts';
import { buildNetwork, type Network } from './network.ts';
import { depthsNeeded, MAX_DEPTH, refuseLeftRecursion } from './network_checks.ts';

/**
 * Where one reading of the text so far stands: at a node, and below it the calls that it is inside of, innermost first.
 * Immutable, and its tail is shared with others: a stack costs one object, however deep it is.
 */
interface Place {
  readonly node: number;
  readonly caller: Place | null;
  readonly depth: number;
  readonly hash: number;
}

/**
 * What the text so far leaves open: all places where it may stand, each at a node that reads a byte, and whether it may end.
 * Every place can be completed to a text of the grammar. Compare states by `===` for speed only: equal ones may be two objects.
 */
export interface GrammarState {
  readonly mayEnd: boolean;
  /** Nothing can follow: the text is complete. */
  readonly mustEnd: boolean;
}

interface State extends GrammarState {
  readonly places: readonly Place[];
  readonly hash: number;
  /** By byte class: the state after it, null where there is none, undefined where nobody has asked. */
  readonly after: (State | null | undefined)[];
}

/** The reader of a grammar: bytes in, states out, remembered within a bound. */
export interface GrammarStates {
  readonly start: GrammarState;
  readonly classOf: Uint8Array;
  /** The state after a byte of this class, null where no text goes on so. Throws CapacityError as MAX_PLACES and MAX_WORK say. */
  step(state: GrammarState, byteClass: number): GrammarState | null;
  /** Bytes that the remembered states take, about. */
  readonly bytesInUse: number;
  forget(): void;
  /** To be called before a walk over many bytes: MAX_WORK is counted from here. */
  beginWalk(): void;
}

/** Readings of one text at once. Unambiguous grammars have one for each alternative that begins alike. */
export const MAX_PLACES = 4096;

/** Places visited in one walk over the vocabulary, some seconds of work: only a grammar made to be slow has more. */
export const MAX_WORK = 20_000_000;

/** What an object, an array's slot and a place take in a JavaScript engine, rounded up. */
const STATE_BYTES = 160;
const SLOT_BYTES = 8;
const PLACE_BYTES = 64;

/**
 * Prepares a grammar: builds its network and checks it.
 * Throws ConfigError for left recursion and where the grammar has no text at all, CapacityError when it is too large.
 */
export function grammarStates(grammar: Grammar): GrammarStates {
  const network = buildNetwork(grammar);
  refuseLeftRecursion(network);
  const needs = depthsNeeded(network, true);
  const rootStart = network.rules[network.root]!.start;
  if (!(needs[rootStart]! <= MAX_DEPTH)) {
    const why =
      needs[rootStart] === Infinity ? 'has no text at all' : `nests deeper than ${MAX_DEPTH} calls in every text`;
    throw new ConfigError(`${grammar.origin}: ${grammar.root} ${why}; give it an alternative that ends`);
  }
  return new RememberedStates(network, needs, rootStart);
}

class RememberedStates implements GrammarStates {
  readonly start: State;
  readonly classOf: Uint8Array;
  bytesInUse = 0;
  readonly #network: Network;
  readonly #needs: Float64Array;
  /** One byte of each class. */
  readonly #byteOf: Uint8Array;
  readonly #known = new Map<number, State[]>();
  #work = 0;

  constructor(network: Network, needs: Float64Array, rootStart: number) {
    this.#network = network;
    this.#needs = needs;
    this.classOf = network.classOf;
    this.#byteOf = new Uint8Array(network.nClasses);
    network.classOf.forEach((byteClass, byte) => {
      this.#byteOf[byteClass] = byte;
    });
    this.start = this.#remembered(this.#expand([place(rootStart, null)]));
  }

  step(from: GrammarState, byteClass: number): GrammarState | null {
    const state = from as State;
    let after = state.after[byteClass];
    if (after === undefined) {
      after = this.#compute(state, this.#byteOf[byteClass]!);
      state.after[byteClass] = after;
    }
    return after;
  }

  /** Also cuts the links between states, so that one which is still in use holds no others. */
  forget(): void {
    for (const states of this.#known.values()) for (const state of states) state.after.fill(undefined);
    this.#known.clear();
    this.bytesInUse = 0;
  }

  beginWalk(): void {
    this.#work = 0;
  }

  #compute(state: State, byte: number): State | null {
    const { nodes } = this.#network;
    const seeds: Place[] = [];
    for (const { node, caller } of state.places) {
      const read = nodes[node]!;
      if (read.kind === 'byte' && read.first <= byte && byte <= read.last) seeds.push(place(read.next, caller));
    }
    this.#work += state.places.length;
    if (seeds.length === 0) return null;
    const next = this.#expand(seeds);
    return next.mayEnd || next.places.length > 0 ? this.#remembered(next) : null;
  }

  /** Follows all that reads nothing, until every place reads a byte. Ends: each place is visited once, and left recursion is refused. */
  #expand(seeds: readonly Place[]): State {
    const { nodes, rules } = this.#network;
    const visited = new PlaceSet();
    const waiting = [...seeds];
    const places: Place[] = [];
    let mayEnd = false;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const { node: index, caller, depth } = at;
      if (depth + this.#needs[index]! > MAX_DEPTH || !visited.add(at)) continue;
      if (visited.size > MAX_PLACES) this.#refuse(`more than ${MAX_PLACES} readings of one text`);
      const node = nodes[index]!;
      switch (node.kind) {
        case 'byte':
          places.push(at);
          break;
        case 'split':
          for (const target of node.targets) waiting.push(place(target, caller));
          break;
        case 'call': {
          // What is followed by a return alone needs no place to come back to: lists written as recursion stay shallow.
          const isLast = nodes[node.next]!.kind === 'return';
          waiting.push(place(rules[node.rule]!.start, isLast ? caller : place(node.next, caller)));
          break;
        }
        case 'return':
          if (caller === null) mayEnd = true;
          else waiting.push(caller);
          break;
        default:
          return node satisfies never;
      }
    }
    this.#work += visited.size;
    if (this.#work > MAX_WORK) this.#refuse(`more than ${MAX_WORK} places visited for one token`);
    places.sort((a, b) => a.hash - b.hash || a.node - b.node);
    const hash = places.reduce(mix, mayEnd ? 1 : 0);
    return { places, mayEnd, mustEnd: places.length === 0 && mayEnd, hash, after: [] };
  }

  #refuse(what: string): never {
    throw new CapacityError(
      `${this.#network.origin}: too ambiguous, ${what}; write alternatives that differ early, each text in one way`,
    );
  }

  /** The state that equals this one and is known already, else this one, known from now on. */
  #remembered(state: State): State {
    const alike = this.#known.get(state.hash);
    const known = alike?.find((other) => isSameState(other, state));
    if (known !== undefined) return known;
    if (alike === undefined) this.#known.set(state.hash, [state]);
    else alike.push(state);
    this.bytesInUse +=
      STATE_BYTES + this.#network.nClasses * SLOT_BYTES + state.places.length * (PLACE_BYTES + SLOT_BYTES);
    return state;
  }
}

function place(node: number, caller: Place | null): Place {
  // Hashes are 32-bit integers: multiplicative mixing, as in MurmurHash3's finalizer.
  let h = Math.imul(node + 1, 0x85ebca6b) ^ Math.imul((caller?.hash ?? 0) + 0x9e3779b9, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return { node, caller, depth: caller === null ? 0 : caller.depth + 1, hash: h ^ (h >>> 13) };
}

function mix(hash: number, { hash: other }: Place): number {
  return (Math.imul(hash, 31) + other) | 0;
}

function isSamePlace(a: Place, b: Place): boolean {
  let x: Place | null = a;
  let y: Place | null = b;
  while (x !== y) {
    if (x === null || y === null || x.hash !== y.hash || x.node !== y.node) return false;
    x = x.caller;
    y = y.caller;
  }
  return true;
}

/** Two states with equal hashes whose places were sorted in another order count as different: that costs memory, nothing else. */
function isSameState(a: State, b: State): boolean {
  return (
    a.mayEnd === b.mayEnd &&
    a.places.length === b.places.length &&
    a.places.every((place, i) => isSamePlace(place, b.places[i]!))
  );
}

/** Places by value. */
class PlaceSet {
  readonly #byHash = new Map<number, Place | Place[]>();
  size = 0;

  /** False when it is there already. */
  add(place: Place): boolean {
    const alike = this.#byHash.get(place.hash);
    if (alike === undefined) this.#byHash.set(place.hash, place);
    else if (Array.isArray(alike)) {
      if (alike.some((other) => isSamePlace(other, place))) return false;
      alike.push(place);
    } else {
      if (isSamePlace(alike, place)) return false;
      this.#byHash.set(place.hash, [alike, place]);
    }
    this.size++;
    return true;
  }
}

import { CapacityError, ConfigError } from '../../core/errors.ts';
import { areSamePlaces, Contexts, hashOf, type Place, sortedPlaces } from './contexts.ts';
import { expand } from './expand.ts';
import type { Grammar } from './expression.ts';
import { buildNetwork, type Network } from './network.ts';
import { depthsNeeded, MAX_DEPTH, refuseLeftRecursion } from './network_checks.ts';

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
  /** Bytes that the remembered states take, about; at most MAX_STATE_BYTES and one state. */
  readonly bytesInUse: number;
  /** To be called before a walk over many bytes: MAX_WORK is counted from here. */
  beginWalk(): void;
}

/** Places where one text may stand, and those on the way to them: one for each alternative that begins alike, and a few more. */
export const MAX_PLACES = 4096;

/** Places visited in one walk over the vocabulary, some seconds of work: only a grammar made to be slow has more. */
export const MAX_WORK = 20_000_000;

/** When remembered states take more than this, all are forgotten and made anew as they are met, as RE2 does. */
export const MAX_STATE_BYTES = 1 << 23;

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
  #stateBytes = 0;
  readonly #network: Network;
  readonly #needs: Float64Array;
  /** One byte of each class. */
  readonly #byteOf: Uint8Array;
  readonly #contexts = new Contexts();
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
    this.start = this.#remembered(this.#expand([{ node: rootStart, context: this.#contexts.root }]));
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

  get bytesInUse(): number {
    return this.#stateBytes + this.#contexts.bytesInUse;
  }

  /** Also cuts the links between states, so that one which is still in use holds no others. */
  #forget(): void {
    for (const states of this.#known.values()) for (const state of states) state.after.fill(undefined);
    this.#known.clear();
    this.#contexts.forget();
    this.#stateBytes = 0;
  }

  beginWalk(): void {
    this.#work = 0;
  }

  #compute(state: State, byte: number): State | null {
    const { nodes } = this.#network;
    const seeds: Place[] = [];
    for (const { node, context } of state.places) {
      const read = nodes[node]!;
      if (read.kind === 'byte' && read.first <= byte && byte <= read.last) seeds.push({ node: read.next, context });
    }
    this.#work += state.places.length;
    if (seeds.length === 0) return null;
    const next = this.#expand(seeds);
    return next.mayEnd || next.places.length > 0 ? this.#remembered(next) : null;
  }

  #expand(seeds: readonly Place[]): State {
    const refuse = (): never => this.#refuse(`more than ${MAX_PLACES} places in one text`);
    const expansion = expand(this.#network, this.#needs, this.#contexts, seeds, MAX_PLACES, refuse);
    this.#work += expansion.nVisited;
    if (this.#work > MAX_WORK) this.#refuse(`more than ${MAX_WORK} places visited for one token`);
    const { mayEnd } = expansion;
    const places = sortedPlaces(expansion.places);
    return { places, mayEnd, mustEnd: places.length === 0 && mayEnd, hash: hashOf(places, mayEnd), after: [] };
  }

  #refuse(what: string): never {
    throw new CapacityError(
      `${this.#network.origin}: too ambiguous, ${what}; write alternatives that differ early, each text in one way`,
    );
  }

  /** The state that equals this one and is known already, else this one, known from now on. */
  #remembered(state: State): State {
    const alike = this.#known.get(state.hash);
    const known = alike?.find((other) => other.mayEnd === state.mayEnd && areSamePlaces(other.places, state.places));
    if (known !== undefined) return known;
    if (this.bytesInUse > MAX_STATE_BYTES) {
      this.#forget();
      return this.#remembered(state);
    }
    if (alike === undefined) this.#known.set(state.hash, [state]);
    else alike.push(state);
    this.#stateBytes +=
      STATE_BYTES + this.#network.nClasses * SLOT_BYTES + state.places.length * (PLACE_BYTES + SLOT_BYTES);
    return state;
  }
}

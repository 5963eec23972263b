import type { Context, Contexts, Place } from './contexts.ts';
import type { Network } from './network.ts';
import { MAX_DEPTH } from './network_checks.ts';

/** A call that is made at this point of the text: it gets a context when all that call the same rule here are known. */
interface OpenCall {
  readonly returns: OpenPlace[];
  /** Callers that have nothing left to read behind the call: what waits for them waits for the rule itself. */
  readonly tails: Caller[];
  /** The rule has read the empty text: who calls it from now on goes on at once. */
  isDone: boolean;
  depth: number;
  context: Context | undefined;
}

type Caller = Context | OpenCall;

interface OpenPlace {
  readonly node: number;
  readonly caller: Caller;
}

/** All that can be reached without reading a byte. */
export interface Expansion {
  /** Each at a node that reads a byte. */
  readonly places: readonly Place[];
  readonly mayEnd: boolean;
  readonly nVisited: number;
}

const isOpen = (caller: Caller): caller is OpenCall => 'tails' in caller;

/**
 * Follows all that reads nothing. A rule that is called from several places is read once, for all of them, so that a text which can
 * be read in many ways costs no more than the square of its length (Scott & Johnstone 2010, "GLL Parsing").
 *
 * needs: depthsNeeded of the network; a place that cannot be completed within MAX_DEPTH is not entered.
 * refuse: called when more than maxPlaces are visited; must throw.
 * Ends: each place is visited once, and left recursion is refused, so calls do not go round.
 */
export function expand(
  { nodes, rules }: Network,
  needs: Float64Array,
  contexts: Contexts,
  seeds: readonly Place[],
  maxPlaces: number,
  refuse: () => never,
): Expansion {
  const seen = new Map<Caller, Set<number>>();
  const calls = new Map<number, OpenCall>();
  const done = new Set<Caller>();
  const waiting: OpenPlace[] = [];
  const reading: OpenPlace[] = [];
  let nVisited = 0;
  let mayEnd = false;

  function visit(node: number, caller: Caller): void {
    if (caller.depth + needs[node]! > MAX_DEPTH) return;
    let visited = seen.get(caller);
    if (visited === undefined) {
      visited = new Set();
      seen.set(caller, visited);
    }
    if (visited.has(node)) return;
    visited.add(node);
    if (++nVisited > maxPlaces) refuse();
    waiting.push({ node, caller });
  }

  function call(rule: number, next: number, caller: Caller): void {
    // What is followed by a return alone needs no place to come back to: lists written as recursion stay shallow.
    const isLast = nodes[next]!.kind === 'return';
    const depth = isLast ? caller.depth : caller.depth + 1;
    let open = calls.get(rule);
    if (open === undefined) {
      open = { returns: [], tails: [], isDone: false, depth, context: undefined };
      calls.set(rule, open);
    }
    open.depth = Math.min(open.depth, depth);
    if (isLast) open.tails.push(caller);
    else open.returns.push({ node: next, caller });
    if (open.isDone) {
      if (isLast) finish(caller);
      else visit(next, caller);
    }
    visit(rules[rule]!.start, open);
  }

  /** The rule that was called in `first` has been read. */
  function finish(first: Caller): void {
    const finished = [first];
    for (let caller = finished.pop(); caller !== undefined; caller = finished.pop()) {
      if (done.has(caller)) continue;
      done.add(caller);
      if (isOpen(caller)) {
        caller.isDone = true;
        for (const { node, caller: outer } of caller.returns) visit(node, outer);
        finished.push(...caller.tails);
      } else {
        mayEnd ||= caller.mayEnd;
        for (const { node, context } of caller.returns) visit(node, context);
      }
    }
  }

  for (const { node, context } of seeds) visit(node, context);
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const node = nodes[at.node]!;
    switch (node.kind) {
      case 'byte':
        reading.push(at);
        break;
      case 'split':
        for (const target of node.targets) visit(target, at.caller);
        break;
      case 'call':
        call(node.rule, node.next, at.caller);
        break;
      case 'return':
        finish(at.caller);
        break;
      default:
        return node satisfies never;
    }
  }
  const places = reading.map(({ node, caller }) => ({ node, context: closed(caller, contexts) }));
  return { places, mayEnd, nVisited };
}

/** The context of a call, those of its callers first. There are no cycles; without recursion, since chains of tails may be long. */
function closed(caller: Caller, contexts: Contexts): Context {
  if (!isOpen(caller)) return caller;
  const stack = [caller];
  for (let open = stack.at(-1); open !== undefined; open = stack.at(-1)) {
    const callers = [...open.returns.map((place) => place.caller), ...open.tails];
    const missing = callers.filter(isOpen).filter((outer) => outer.context === undefined);
    if (open.context === undefined && missing.length > 0) {
      stack.push(...missing);
      continue;
    }
    open.context ??= contextOf(open, contexts);
    stack.pop();
  }
  return caller.context!;
}

/** Callers have their contexts. */
function contextOf(open: OpenCall, contexts: Contexts): Context {
  const known = (caller: Caller): Context => (isOpen(caller) ? caller.context! : caller);
  const tails = open.tails.map(known);
  const returns = open.returns.map(({ node, caller }) => ({ node, context: known(caller) }));
  return contexts.of(
    [...returns, ...tails.flatMap((tail) => tail.returns)],
    tails.some((tail) => tail.mayEnd),
  );
}

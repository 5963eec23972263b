import { ConfigError } from '../../core/errors.ts';
import type { Network, NetworkNode } from './network.ts';

/** Deeper calls than this are not entered, whatever the grammar says: a text nests this deep at most. */
export const MAX_DEPTH = 512;

/**
 * For each node, how many calls deep (beyond where it stands) the shallowest way to its rule's `return` goes; Infinity where there
 * is none, so that no text can be completed.
 *
 * passBytes: whether that way may read bytes. Without, a finite value means that the way reads the empty text.
 *
 *   return: 0    byte: that of next    split: least of its targets    call: max(1 + that of its rule, that of next)
 *
 * A call that is followed by its own rule's return replaces its rule on the stack, and costs no depth.
 * Values are found in rising order, each node once, as in Knuth 1977, "A Generalization of Dijkstra's Algorithm".
 */
export function depthsNeeded({ nodes, rules }: Network, passBytes: boolean): Float64Array {
  const depths = new Float64Array(nodes.length).fill(Infinity);
  const users: number[][] = nodes.map(() => []); // nodes whose value depends on this one's
  nodes.forEach((node, i) => {
    for (const used of dependencies(node, rules)) users[used]!.push(i);
  });
  const buckets: number[][] = [nodes.flatMap((node, i) => (node.kind === 'return' ? [i] : []))];
  for (let depth = 0; depth < buckets.length; depth++) {
    const bucket = buckets[depth] ?? [];
    for (let i = bucket.pop(); i !== undefined; i = bucket.pop()) {
      if (depths[i]! < Infinity) continue;
      depths[i] = depth;
      for (const user of users[i]!) {
        const value = depthOf(nodes[user]!, depth);
        if (value === Infinity || depths[user]! < Infinity) continue;
        buckets[value] ??= [];
        buckets[value].push(user);
      }
    }
  }
  return depths;

  /** Once one of its dependencies has the value `least`, of those that are known the greatest so far. */
  function depthOf(node: NetworkNode, least: number): number {
    switch (node.kind) {
      case 'return':
        return 0;
      case 'byte':
        return passBytes ? depths[node.next]! : Infinity;
      case 'split':
        return least; // the first target that gets a value has the least one
      case 'call': {
        const inside = depths[rules[node.rule]!.start]!;
        return nodes[node.next]!.kind === 'return' ? inside : Math.max(1 + inside, depths[node.next]!);
      }
      default:
        return node satisfies never;
    }
  }
}

function dependencies(node: NetworkNode, rules: Network['rules']): readonly number[] {
  switch (node.kind) {
    case 'return':
      return [];
    case 'byte':
      return [node.next];
    case 'split':
      return node.targets;
    case 'call':
      return [rules[node.rule]!.start, node.next];
    default:
      return node satisfies never;
  }
}

/**
 * Throws ConfigError that names the rules of a cycle in which a rule begins with itself before any byte is read: a reader from
 * left to right would go round for ever.
 */
export function refuseLeftRecursion(network: Network): void {
  const { nodes, rules, origin } = network;
  const emptyDepth = depthsNeeded(network, false);
  const firstCalls = rules.map(({ start }) => {
    const called = new Set<number>();
    const seen = new Set([start]);
    for (const i of seen) {
      const node = nodes[i]!;
      if (node.kind === 'split') for (const target of node.targets) seen.add(target);
      if (node.kind !== 'call') continue;
      called.add(node.rule);
      if (emptyDepth[rules[node.rule]!.start]! < Infinity) seen.add(node.next);
    }
    return [...called];
  });
  const cycle = findCycle(firstCalls);
  if (cycle === undefined) return;
  const names = [...cycle, cycle[0]!]
    .map((i) => rules[i]!.name)
    .filter((name, i, all) => i === 0 || name !== all[i - 1]);
  const path = names.length === 1 ? `${names[0]} -> ${names[0]}` : names.join(' -> ');
  throw new ConfigError(
    `${origin}: left recursion, ${path}: the rule begins with itself; let it begin with something else, or write a repetition`,
  );
}

/** A cycle of a directed graph as its nodes in order, undefined when there is none. Depth first, without recursion. */
function findCycle(edges: readonly (readonly number[])[]): number[] | undefined {
  const state = new Uint8Array(edges.length); // 1: on the path, 2: done
  for (let root = 0; root < edges.length; root++) {
    if (state[root] !== 0) continue;
    const path = [{ node: root, at: 0 }];
    state[root] = 1;
    while (path.length > 0) {
      const top = path.at(-1)!;
      const to = edges[top.node]![top.at++];
      if (to === undefined) {
        state[top.node] = 2;
        path.pop();
      } else if (state[to] === 1) {
        return path.slice(path.findIndex(({ node }) => node === to)).map(({ node }) => node);
      } else if (state[to] === 0) {
        state[to] = 1;
        path.push({ node: to, at: 0 });
      }
    }
  }
  return undefined;
}

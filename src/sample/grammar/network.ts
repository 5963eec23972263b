import { assert, CapacityError } from '../../core/errors.ts';
import { type CodePointRange, utf8Sequences } from './code_points.ts';
import { EMPTY, type Expression, type Grammar } from './expression.ts';

/**
 * A grammar as a network over bytes: each rule is a small graph from its start to its one `return`, and a `call` walks
 * through another rule before it goes on. Characters are their UTF-8 bytes, so a text may stop in the middle of one.
 */
export type NetworkNode =
  | { readonly kind: 'byte'; readonly first: number; readonly last: number; readonly next: number }
  | { readonly kind: 'split'; readonly targets: readonly number[] }
  | { readonly kind: 'call'; readonly rule: number; readonly next: number }
  | { readonly kind: 'return' };

export interface NetworkRule {
  readonly name: string;
  readonly start: number;
}

export interface Network {
  readonly origin: string;
  readonly nodes: readonly NetworkNode[];
  readonly rules: readonly NetworkRule[];
  /** The index of the rule whose texts are wanted. */
  readonly root: number;
  /** Bytes that no node tells apart have the same class. u8 [256] */
  readonly classOf: Uint8Array;
  readonly nClasses: number;
}

/** About 40 MB of nodes; a grammar that people write has a few thousand. */
export const MAX_NODES = 400_000;

/** Repeating something of more characters than this is a call, so that it is built once. */
const INLINE_CHARACTERS = 4;

const LAST_ASCII = 0x7f;

/**
 * Builds the network of a grammar, about one node for each character of its texts and for each count of a repetition.
 * Throws CapacityError when that is more than MAX_NODES.
 */
export function buildNetwork(grammar: Grammar): Network {
  const builder = new Builder(grammar);
  const nodes = builder.build();
  const { classOf, nClasses } = byteClasses(nodes);
  const root = builder.rules.findIndex(({ name }) => name === grammar.root);
  assert(root >= 0, `the ${grammar.origin} has a rule ${grammar.root}`);
  return { origin: grammar.origin, nodes, rules: builder.rules, root, classOf, nClasses };
}

class Builder {
  readonly rules: { name: string; start: number }[] = [];
  readonly #grammar: Grammar;
  readonly #nodes: NetworkNode[] = [];
  readonly #indexOf = new Map<string, number>();
  /** Rules without a body yet, and parts of rules that are repeated. */
  readonly #waiting: { index: number; body: Expression }[] = [];
  #ruleName = '';

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
    for (const [name, body] of grammar.rules) this.#indexOf.set(name, this.#addRule(name, body));
  }

  build(): readonly NetworkNode[] {
    for (let waiting = this.#waiting.pop(); waiting !== undefined; waiting = this.#waiting.pop()) {
      const rule = this.rules[waiting.index]!;
      this.#ruleName = rule.name;
      rule.start = this.#compile(waiting.body, this.#add({ kind: 'return' }));
    }
    return this.#nodes;
  }

  #addRule(name: string, body: Expression): number {
    this.#waiting.push({ index: this.rules.length, body });
    return this.rules.push({ name, start: -1 }) - 1;
  }

  #add(node: NetworkNode): number {
    if (this.#nodes.length >= MAX_NODES) {
      throw new CapacityError(
        `${this.#grammar.origin}: more than ${MAX_NODES} nodes, the last in rule ${this.#ruleName}; use shorter lists or smaller repetition counts`,
      );
    }
    return this.#nodes.push(node) - 1;
  }

  #split(targets: readonly number[]): number {
    return targets.length === 1 ? targets[0]! : this.#add({ kind: 'split', targets });
  }

  /** The node where texts of `expression` start that then go on at `next`. Built from the end, so that tails are shared. */
  #compile(expression: Expression, next: number): number {
    switch (expression.kind) {
      case 'text': {
        const bytes = new TextEncoder().encode(expression.text);
        return bytes.reduceRight(
          (node, byte) => this.#add({ kind: 'byte', first: byte, last: byte, next: node }),
          next,
        );
      }
      case 'chars':
        return this.#compileChars(expression.ranges, next);
      case 'sequence':
        return expression.items.reduceRight((node, item) => this.#compile(item, node), next);
      case 'choice':
        return this.#split(expression.items.map((item) => this.#compile(item, next)));
      case 'rule': {
        const rule = this.#indexOf.get(expression.name);
        assert(rule !== undefined, `rule ${expression.name} is defined`);
        return this.#add({ kind: 'call', rule, next });
      }
      case 'repeat':
        return this.#compileRepeat(expression, next);
      default:
        return expression satisfies never;
    }
  }

  #compileChars(ranges: readonly CodePointRange[], next: number): number {
    const tails = new Map<string, number>();
    const starts = new Set<number>();
    for (const range of ranges) {
      for (const bytes of utf8Sequences(range)) {
        let node = next;
        for (const [first, last] of bytes.reverse()) {
          const key = `${first} ${last} ${node}`;
          const known = tails.get(key) ?? this.#add({ kind: 'byte', first, last, next: node });
          tails.set(key, known);
          node = known;
        }
        starts.add(node);
      }
    }
    return this.#split([...starts]);
  }

  #compileRepeat({ item, min, max }: Expression & { kind: 'repeat' }, next: number): number {
    if (max === 0) return this.#compile(EMPTY, next);
    const nCopies = max === Infinity ? Math.max(1, min) : max;
    let copy = (node: number): number => this.#compile(item, node);
    if (nCopies > 1 && !isSmall(item)) {
      const rule = this.#addRule(this.#ruleName, item);
      copy = (node) => this.#add({ kind: 'call', rule, next: node });
    }
    let node = next;
    if (max === Infinity) {
      const targets: number[] = [];
      const loop = this.#add({ kind: 'split', targets });
      const body = copy(loop);
      targets.push(body, next);
      node = min === 0 ? loop : body;
    } else {
      for (let i = min; i < max; i++) node = this.#add({ kind: 'split', targets: [copy(node), next] });
    }
    const nBefore = max === Infinity ? min - 1 : min;
    for (let i = 0; i < nBefore; i++) node = copy(node);
    return node;
  }
}

function isSmall(item: Expression): boolean {
  if (item.kind === 'rule') return true;
  if (item.kind === 'text') return item.text.length <= INLINE_CHARACTERS;
  return (
    item.kind === 'chars' && item.ranges.length <= INLINE_CHARACTERS && item.ranges.every((r) => r[1] <= LAST_ASCII)
  );
}

function byteClasses(nodes: readonly NetworkNode[]): { classOf: Uint8Array; nClasses: number } {
  const starts = new Uint8Array(257); // a class starts at this byte
  for (const node of nodes) {
    if (node.kind !== 'byte') continue;
    starts[node.first] = 1;
    starts[node.last + 1] = 1;
  }
  const classOf = new Uint8Array(256);
  let index = 0;
  for (let byte = 1; byte < 256; byte++) classOf[byte] = starts[byte] === 1 ? ++index : index;
  return { classOf, nClasses: index + 1 };
}

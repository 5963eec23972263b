import { createSha256, hexOf, sha256 } from '../core/sha256.ts';
import type { Page } from './page_tables.ts';

type Floats = Float32Array | Float64Array;

/**
 * Which page holds the rows of which ids: a radix tree whose edges are the ids of one page.
 *
 *   (salt) -- ids 0..15 --> page a -- ids 16..31 --> page b
 *                               '---- other ids ---> page c
 *
 * Rows depend on every id before them, so a page is named by all of these: key = SHA-256(key of the page before | ids). The
 * first key is made of the salt; who does not know a salt can neither find pages under it nor learn whether they are there.
 */
export interface PrefixNode<A extends Floats> {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly parent: PrefixNode<A> | undefined;
  /** Of this page. Compared, besides the key: nothing then rests on digests being different. */
  readonly ids: Int32Array<ArrayBuffer>;
  readonly page: Page<A>;
  readonly depth: number;
  readonly children: Map<string, PrefixNode<A>>;
  /** Counts uses of the whole tree. */
  lastUse: number;
  priority: number;
}

export interface PrefixTree<A extends Floats> {
  readonly nNodes: number;
  /** The nodes of the longest chain of whole pages that ids[0..] has here. */
  find(ids: readonly number[], salt: string): PrefixNode<A>[];
  /**
   * Walks along the whole pages of `ids`. `pageAt(i, there)`: the page of the i-th, given the one that is there already;
   * undefined ends the walk.
   */
  extend(
    ids: readonly number[],
    salt: string,
    priority: number,
    pageAt: (index: number, there: Page<A> | undefined) => Page<A> | undefined,
  ): void;
  /**
   * Takes out the leaf that nobody uses and is wanted least: of the lowest priority, then the longest unused, then the deepest.
   * A chain is used from its root on, so its leaves are never younger than what they hang on. undefined when all are in use.
   */
  removeLeast(): PrefixNode<A> | undefined;
  /** Takes out a node and all that hang on it, whoever uses them. */
  removeFrom(node: PrefixNode<A>): PrefixNode<A>[];
  pages(): Iterable<Page<A>>;
}

const DOMAIN = 'glassformer kv prefix 1\n';

export function createPrefixTree<A extends Floats>(pageSize: number, cacheSalt: string): PrefixTree<A> {
  const roots = new Map<string, { key: Uint8Array<ArrayBuffer>; children: Map<string, PrefixNode<A>> }>();
  const nodes = new Set<PrefixNode<A>>();
  let clock = 0;

  const rootOf = (salt: string) => {
    let root = roots.get(salt);
    if (root === undefined) {
      // JSON keeps apart what merely joined would be one: salts "ab" + "c" and "a" + "bc".
      const name = `${DOMAIN}${JSON.stringify([pageSize, cacheSalt, salt])}`;
      root = { key: sha256(new TextEncoder().encode(name)), children: new Map() };
      roots.set(salt, root);
    }
    return root;
  };
  const idsOfPage = (ids: readonly number[], i: number): Int32Array<ArrayBuffer> =>
    Int32Array.from({ length: pageSize }, (_, t) => ids[i * pageSize + t]!);
  const keyOf = (parent: Uint8Array, ids: Int32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
    createSha256().update(parent).update(littleEndian(ids)).digest();

  return {
    get nNodes() {
      return nodes.size;
    },
    find(ids, salt) {
      const found: PrefixNode<A>[] = [];
      let at: { key: Uint8Array<ArrayBuffer>; children: Map<string, PrefixNode<A>> } | undefined = roots.get(salt);
      clock++;
      for (let i = 0; at !== undefined && (i + 1) * pageSize <= ids.length; i++) {
        const own = idsOfPage(ids, i);
        const next: PrefixNode<A> | undefined = at.children.get(hexOf(keyOf(at.key, own)));
        if (next === undefined || !next.ids.every((id, t) => id === own[t])) break;
        next.lastUse = clock;
        found.push(next);
        at = next;
      }
      return found;
    },
    extend(ids, salt, priority, pageAt) {
      let at: { key: Uint8Array<ArrayBuffer>; children: Map<string, PrefixNode<A>> } = rootOf(salt);
      let parent: PrefixNode<A> | undefined;
      clock++;
      for (let i = 0; (i + 1) * pageSize <= ids.length; i++) {
        const own = idsOfPage(ids, i);
        const key = keyOf(at.key, own);
        const there = at.children.get(hexOf(key));
        const page = pageAt(i, there?.page);
        if (page === undefined) break;
        const next: PrefixNode<A> = there ?? {
          key,
          parent,
          ids: own,
          page,
          depth: i,
          children: new Map(),
          lastUse: clock,
          priority,
        };
        next.lastUse = clock;
        next.priority = Math.max(next.priority, priority);
        at.children.set(hexOf(key), next);
        nodes.add(next);
        parent = next;
        at = next;
      }
      dropEmptyRoot(salt);
    },
    removeLeast() {
      let least: PrefixNode<A> | undefined;
      for (const node of nodes) {
        if (node.page.nUsers > 0 || node.children.size > 0) continue;
        if (least === undefined || isLess(node, least)) least = node;
      }
      if (least !== undefined) unhook(least);
      return least;
    },
    removeFrom(node) {
      unhook(node);
      const removed = [node];
      for (let i = 0; i < removed.length; i++) removed.push(...removed[i]!.children.values());
      for (const one of removed) nodes.delete(one);
      return removed;
    },
    *pages() {
      for (const { page } of nodes) yield page;
    },
  };

  function unhook(node: PrefixNode<A>): void {
    nodes.delete(node);
    const name = hexOf(node.key);
    node.parent?.children.delete(name);
    for (const [salt, root] of node.parent === undefined ? roots : []) {
      if (root.children.delete(name)) dropEmptyRoot(salt);
    }
  }

  /** A server has many salts: one without pages is forgotten. */
  function dropEmptyRoot(salt: string): void {
    if (roots.get(salt)?.children.size === 0) roots.delete(salt);
  }
}

function isLess<A extends Floats>(a: PrefixNode<A>, b: PrefixNode<A>): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.lastUse !== b.lastUse) return a.lastUse < b.lastUse;
  return a.depth > b.depth;
}

/** The same bytes on every host. */
function littleEndian(ids: Int32Array<ArrayBuffer>): Uint8Array {
  const bytes = new Uint8Array(ids.byteLength);
  const view = new DataView(bytes.buffer);
  for (const [i, id] of ids.entries()) view.setInt32(4 * i, id, true);
  return bytes;
}

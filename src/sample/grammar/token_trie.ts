/**
 * The vocabulary's bytes as a tree: tokens that begin alike share their first bytes, so one walk tries them all. Nodes lie in the
 * order of that walk, the root first; a node that leads nowhere is left with everything below it in one jump.
 */
export interface TokenTrie {
  /** Token ids are 0..vocab-1. */
  readonly vocab: number;
  readonly nNodes: number;
  /** The byte that leads to the node. u8 [nNodes]; the root's is not used. */
  readonly byte: Uint8Array;
  /** Bytes between the root and the node. u16 or u32 [nNodes] */
  readonly depth: Uint16Array | Uint32Array;
  /** The first node that is not below this one. [nNodes] */
  readonly end: Int32Array;
  /** Token ids in the order of their nodes; those of node i are tokens[firstToken[i]] up to firstToken[i + 1]. */
  readonly tokens: Int32Array;
  /** [nNodes + 1] */
  readonly firstToken: Int32Array;
  readonly maxDepth: number;
}

const MAX_UINT16 = 0xffff;

/**
 * The tree of a vocabulary. bytesOf: what a token id below `vocab` adds to the text; tokens that add nothing are not in the tree.
 * Time and memory grow with the vocabulary's bytes (and a logarithm, for sorting).
 */
export function tokenTrie(vocab: number, bytesOf: (id: number) => Uint8Array): TokenTrie {
  const entries: { id: number; bytes: Uint8Array; key: number }[] = [];
  for (let id = 0; id < vocab; id++) {
    const bytes = bytesOf(id);
    if (bytes.length > 0) entries.push({ id, bytes, key: firstBytes(bytes) });
  }
  entries.sort((a, b) => a.key - b.key || compareBytes(a.bytes, b.bytes) || a.id - b.id);

  const shared = entries.map(({ bytes }, i) => (i === 0 ? 0 : commonLength(entries[i - 1]!.bytes, bytes)));
  const nNodes = entries.reduce((n, { bytes }, i) => n + bytes.length - shared[i]!, 1);
  const maxDepth = entries.reduce((longest, { bytes }) => Math.max(longest, bytes.length), 0);
  const trie = {
    vocab,
    nNodes,
    maxDepth,
    byte: new Uint8Array(nNodes),
    depth: maxDepth > MAX_UINT16 ? new Uint32Array(nNodes) : new Uint16Array(nNodes),
    end: new Int32Array(nNodes).fill(nNodes),
    tokens: Int32Array.from(entries, ({ id }) => id),
    firstToken: new Int32Array(nNodes + 1),
  };
  const path: number[] = [0]; // the nodes from the root to the last one
  let node = 0;
  entries.forEach(({ bytes }, i) => {
    if (bytes.length > shared[i]!) while (path.length > shared[i]! + 1) trie.end[path.pop()!] = node + 1;
    for (let d = shared[i]!; d < bytes.length; d++) {
      node++;
      trie.byte[node] = bytes[d]!;
      trie.depth[node] = d + 1;
      trie.firstToken[node] = i;
      path.push(node);
    }
  });
  trie.firstToken[nNodes] = entries.length;
  return trie;
}

/** As many as a double holds exactly. */
const KEY_BYTES = 6;

/** The first bytes as one number, zeros behind a short token: most comparisons are decided by it, and it is quick. */
function firstBytes(bytes: Uint8Array): number {
  let key = 0;
  for (let i = 0; i < KEY_BYTES; i++) key = key * 256 + (bytes[i] ?? 0);
  return key;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

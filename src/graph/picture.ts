import { showShape } from '../core/shape.ts';
import type { Graph, Node, ValueId } from './ir.ts';

/** What a picture of a graph shows: a box for each node that computes, and an arrow for each value that one reads from another. */
export interface Picture {
  readonly boxes: readonly Box[];
  readonly arrows: readonly { readonly from: number; readonly to: number }[];
}

export interface Box {
  /** The op, then what tells it from others of its kind: its name, its weights, its shape. */
  readonly title: string;
  readonly lines: readonly string[];
  readonly kind: 'feed' | 'matrix' | 'attention' | 'cache' | 'rows' | 'omitted';
}

/**
 * The picture of a graph. Weights are no boxes of their own but a line in their readers'. Layers repeat: the first one is
 * drawn, and one box stands for all others.
 */
export function pictureOf(graph: Graph): Picture {
  const boxes: Box[] = [];
  const arrows: { from: number; to: number }[] = [];
  const seen = new Set<string>();
  const boxOf = new Map<ValueId, number>();
  let omitted = -1;
  const layers = new Set(graph.nodes.map((node) => layerOf(node.name)));
  layers.delete(undefined);
  graph.nodes.forEach((node, id) => {
    if (node.op === 'weight' || node.op === 'concat_weights') return;
    const layer = layerOf(node.name);
    let box: number;
    if (layer !== undefined && layer !== 0) {
      if (omitted < 0) {
        const lines = [layers.size === 2 ? 'one more layer' : `${layers.size - 1} more layers`, 'like the one above'];
        omitted = boxes.push({ title: '...', lines, kind: 'omitted' }) - 1;
      }
      box = omitted;
    } else {
      box = boxes.push({ title: node.op, lines: linesOf(graph, node), kind: kindOf(node) }) - 1;
    }
    boxOf.set(id, box);
    for (const input of node.inputs) {
      const from = boxOf.get(input);
      const key = `${from} ${box}`;
      if (from === undefined || from === box || seen.has(key)) continue;
      seen.add(key);
      arrows.push({ from, to: box });
    }
  });
  return { boxes, arrows };
}

/** "blk.12.ffn_up" -> 12 */
function layerOf(name: string): number | undefined {
  const [, digits] = /^blk\.(\d+)\./.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function linesOf(graph: Graph, node: Node): string[] {
  const weights = node.inputs.flatMap((input) => {
    const w = graph.nodes[input]!;
    if (w.op === 'weight') return [`${w.name} ${w.dtype}`];
    return w.op === 'concat_weights' ? [`${w.inputs.length} joined weights, ${w.dtype}`] : [];
  });
  return [node.name, ...weights, showShape(node.shape)];
}

function kindOf(node: Node): Box['kind'] {
  switch (node.op) {
    case 'input':
    case 'patches':
      return 'feed';
    case 'linear':
    case 'expert_linear':
    case 'head_linear':
    case 'embed':
      return 'matrix';
    case 'kv_write_k':
    case 'kv_write_v':
    case 'rope_write_k':
      return 'cache';
    case 'attend_scores':
    case 'position_bias':
    case 'softmax':
    case 'attend_mix':
    case 'attend':
      return 'attention';
    default:
      return 'rows';
  }
}

import { showShape } from '../core/shape.ts';
import type { Graph, Node } from './ir.ts';

/**
 * A graph as text, one node a line, for people and for golden files:
 *
 *   %4 = rms_norm %2 %3 {eps=0.00001} : [T, 64]                "blk.0.attn_norm"
 */
export function graphText(graph: Graph): string {
  const lines = graph.nodes.map((node, id) => {
    const inputs = node.inputs.map((i) => ` %${i}`).join('');
    const left = `%${id} = ${node.op}${inputs}${attributesText(node)} : ${showShape(node.shape)}`;
    return `${left.padEnd(72)} "${node.name}"`;
  });
  const ropes = graph.ropes.map(
    (r, i) =>
      `rope ${i}: ${r.frequencies.length} pairs, magnitude ${r.magnitude}, from ${r.frequencies[0]} to ${r.frequencies.at(-1)}`,
  );
  const { nLayers, nKvHeads, headDim } = graph.kv;
  return [
    `kv: ${nLayers} layers x ${nKvHeads} kv heads x ${headDim}`,
    ...ropes,
    ...lines,
    `output %${graph.output}`,
    '',
  ].join('\n');
}

/** One node with its inputs by name: `blk.0.attn_q = linear(blk.0.attn_norm, blk.0.attn_q.weight) {activations=q8} : [T, 64]`. */
export function nodeLine(node: Node, nameOf: (id: number) => string): string {
  return `${node.name} = ${node.op}(${node.inputs.map(nameOf).join(', ')})${attributesText(node)} : ${showShape(node.shape)}`;
}

function attributesText(node: Node): string {
  switch (node.op) {
    case 'input':
      return ` {${node.feed}}`;
    case 'weight':
    case 'concat_weights':
      return ` {${node.dtype}}`;
    case 'patches':
      return ` {width=${node.width}}`;
    case 'rms_norm':
    case 'layer_norm':
    case 'residual_norm':
      return ` {eps=${node.eps}${given('codes', node.codes)}}`;
    case 'linear':
      return node.kernel === undefined
        ? ` {activations=${node.activations}${given('sums', node.sums)}}`
        : ` {activations=${node.activations}, kernel=${node.kernel}}`;
    case 'choose_experts': {
      const groups = node.groups && `, groups=${node.groups.chosen} of ${node.groups.count} by ${node.groups.scoredBy}`;
      return ` {nChosen=${node.nChosen}${groups ?? ''}}`;
    }
    case 'expert_weights':
      return ` {isNormalized=${node.isNormalized}, scale=${node.scale}}`;
    case 'expert_linear':
    case 'head_linear':
      return ` {activations=${node.activations}${given('sums', node.sums)}}`;
    case 'slice':
      return ` {from=${node.from}, width=${node.width}}`;
    case 'rope':
      return ` {layout=${node.layout}, table=${node.table}}`;
    case 'kv_write_k':
    case 'kv_write_v':
      return ` {layer=${node.layer}}`;
    case 'rope_write_k':
      return ` {layer=${node.layer}, layout=${node.layout}, table=${node.table}}`;
    case 'attend_scores':
      return ` {scale=${node.scale}${given('cap', node.cap)}${given('window', node.window)}${given('sees', node.sees)}${given('sums', node.sums)}}`;
    case 'attend':
      return ` {scale=${node.scale}${given('cap', node.cap)}${given('window', node.window)}${given('sees', node.sees)}}`;
    case 'position_bias':
      return ` {maxDistance=${node.maxDistance}${given('window', node.window)}${given('sees', node.sees)}}`;
    case 'softmax':
    case 'attend_mix': {
      const text = `${given('window', node.window)}${given('sees', node.sees)}`;
      return text === '' ? '' : ` {${text.replace(/^, /, '')}}`;
    }
    case 'soft_cap':
      return ` {cap=${node.cap}}`;
    case 'scale':
      return ` {by=${node.by}}`;
    case 'embed':
    case 'reshape':
    case 'add':
    case 'mul':
    case 'silu':
    case 'silu_fast':
    case 'gelu':
    case 'gelu_tanh':
    case 'quick_gelu':
    case 'relu':
    case 'tanh':
    case 'swiglu':
    case 'swiglu_fast':
    case 'geglu':
    case 'geglu_tanh':
    case 'concat':
    case 'sigmoid':
    case 'softmax_rows':
    case 'expert_sum':
    case 'add_bias':
    case 'take_rows':
      return '';
    default:
      return node satisfies never;
  }
}

function given(name: string, value: number | string | undefined): string {
  return value === undefined ? '' : `, ${name}=${value}`;
}

import type { Graph } from '../ir.ts';

/**
 * One idea, `Graph -> Graph`, no hidden state. 'exact': every value that has the same name before and after has the same
 * bits. 'bounded': opt-in, with a stated error.
 */
export interface Pass {
  readonly name: string;
  readonly numerics: 'exact' | 'bounded';
  apply(graph: Graph): Graph;
}

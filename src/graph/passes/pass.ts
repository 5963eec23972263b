import type { Graph } from '../ir.ts';

/**
 * One idea, `Graph -> Graph`, no hidden state. 'exact': every value that has the same name before and after has the same
 * bits. 'bounded': opt-in, with a stated error.
 */
export interface Pass {
  readonly name: string;
  readonly numerics: 'exact' | 'bounded';
  /**
   * Passes that come before this one where both run, since they need what this one takes away or make what this one looks for.
   * Any order that keeps these gives the same bits; the list has one of them.
   */
  readonly after: readonly string[];
  apply(graph: Graph): Graph;
}

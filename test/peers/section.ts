import type { Table } from '../bench/figures.ts';
import type { NodeProgram } from './nodes.ts';

/** A part of `npm run bench:peers`: `--only` takes its name. It gives a table for each Node, by label. */
export interface PeerSection {
  readonly name: string;
  run(pace: PeerPace): Promise<Map<string, Table>>;
}

export interface PeerPace {
  /** Fewer turns of less work, for a look while something is changed. */
  readonly quick: boolean;
  /** Turns beside llama.cpp are no more than this. */
  readonly mostTurns: number;
  /** The first is the newest. */
  readonly nodes: readonly NodeProgram[];
}

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Figure, figure, missingFigure, type Table } from '../bench/figures.ts';
import { rates, ratios } from '../bench/measure.ts';
import { firstLine } from './contenders.ts';
import { flagsOf, type NodeProgram } from './nodes.ts';
import type { PeerSection } from './section.ts';

const ENGINES = ['glassformer', 'onnxruntime-web', 'onnxruntime-node'] as const;
const N_IN = 4096;
const N_OUT = 2048;
/** Rows of x, and how many times faster than onnxruntime-web we have to be. */
const CASES = [
  { nRows: 1, atLeast: 30 },
  { nRows: 256, atLeast: 4 },
] as const;
const TURNS = 9;
const QUICK_TURNS = 3;

/** A product with 4-bit weights, beside onnxruntime's, under each Node; each engine in a process of its own. */
export const FOUR_BIT: PeerSection = {
  name: 'four-bit',
  async run({ quick, nodes }) {
    const tables = new Map<string, Table>();
    for (const node of nodes) tables.set(node.label, await runUnder(node, quick ? QUICK_TURNS : TURNS));
    return tables;
  },
};

async function runUnder(node: NodeProgram, turns: number): Promise<Table> {
  const children = new Map(ENGINES.map((engine) => [engine, start(engine, node)]));
  const figures: Figure[] = [];
  try {
    for (const { nRows, atLeast } of CASES) {
      const times = new Map<string, number[]>(ENGINES.map((engine) => [engine, []]));
      const failures = new Map<string, string>();
      for (let turn = 0; turn < turns; turn++) {
        for (const [engine, child] of children) {
          if (failures.has(engine)) continue;
          await ask(child, nRows).then(
            (ms) => times.get(engine)!.push(ms),
            (e) => failures.set(engine, firstLine(e)),
          );
        }
      }
      figures.push(...rowsOf(nRows, atLeast, times, failures));
    }
  } finally {
    for (const child of children.values()) child.kill('SIGKILL');
  }
  return {
    title: 'Beside onnxruntime: 4-bit weights',
    note: 'One thread. Ours rounds activations to int8 blocks and is timed with that; theirs (MatMulNBits) runs with accuracy levels 0 and 4, of which the faster counts.',
    figures,
  };
}

function rowsOf(
  nRows: number,
  atLeast: number,
  times: ReadonlyMap<string, readonly number[]>,
  failures: ReadonlyMap<string, string>,
): Figure[] {
  const gop = (2 * nRows * N_IN * N_OUT) / 1e9;
  const shape = `M=${nRows}, ${N_IN} x ${N_OUT}`;
  const speed = (engine: string): Figure => {
    const failure = failures.get(engine);
    const what = `${shape}: ${engine}`;
    return failure === undefined
      ? figure(what, 'GOP/s', rates(times.get(engine)!, gop))
      : missingFigure(what, 'GOP/s', failure);
  };
  const ratio = (engine: string): Figure => {
    const failure = failures.get(engine) ?? failures.get('glassformer');
    const what = `${shape}: ratio to ${engine}`;
    const target = engine === 'onnxruntime-web' ? { atLeast } : undefined;
    if (failure !== undefined) return missingFigure(what, 'x', failure, target);
    return figure(what, 'x', ratios(times.get(engine)!, times.get('glassformer')!), target);
  };
  return [...ENGINES.map(speed), ratio('onnxruntime-web'), ratio('onnxruntime-node')];
}

function start(engine: string, node: NodeProgram): ChildProcess {
  const file = fileURLToPath(new URL('engines/matmul_4bit.ts', import.meta.url));
  const stdio = ['ignore', 'ignore', 'ignore', 'ipc'] as const;
  return fork(file, [engine], { execPath: node.path, execArgv: flagsOf(node.path), stdio: [...stdio] });
}

function ask(child: ChildProcess, nRows: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(new Error('its process has ended'));
    if (!child.connected) return end();
    child.once('exit', end);
    child.once('message', (answer: { ms: number } | { error: string }) => {
      child.off('exit', end);
      if ('error' in answer) reject(new Error(answer.error));
      else resolve(answer.ms);
    });
    child.send(nRows);
  });
}

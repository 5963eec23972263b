import type { DType } from '../../src/core/dtype.ts';
import type { RandomShapeName } from '../../src/load/random_shape.ts';
import { type Figure, figure, missingFigure, type Table } from '../bench/figures.ts';
import { STREAM_BYTES } from '../bench/ladder.ts';
import { randomModel } from '../bench/random_model.ts';
import {
  type Contender,
  millisecondsOf,
  type Runs,
  rateFigure,
  ratioFigure,
  takeTurns,
  type Work,
  whyMissing,
} from './contenders.ts';
import type { NodeProgram } from './nodes.ts';
import type { PeerPace, PeerSection } from './section.ts';

/** What has to be reached against one thread of llama.cpp, against the better of one and two, and of the own limits. */
interface Case {
  readonly shape: RandomShapeName;
  readonly format: DType;
  readonly turns: number;
  readonly decodeAtLeast?: number;
  readonly prefillAtLeast?: number;
  /** Two threads too, and plain SIMD. */
  readonly isWhole: boolean;
}

const CASES: readonly Case[] = [
  { shape: '135m', format: 'q4_0', turns: 7, decodeAtLeast: 1, prefillAtLeast: 0.4, isWhole: true },
  { shape: '0.5b', format: 'q4_0', turns: 5, decodeAtLeast: 0.9, prefillAtLeast: 0.4, isWhole: true },
  { shape: '1.2b', format: 'q4_0', turns: 3, decodeAtLeast: 0.9, prefillAtLeast: 0.4, isWhole: true },
  { shape: '0.5b', format: 'q8_0', turns: 5, decodeAtLeast: 0.75, isWhole: false },
  { shape: '1.2b', format: 'q8_0', turns: 3, decodeAtLeast: 0.75, isWhole: false },
  { shape: '1.2b', format: 'q4_k', turns: 3, decodeAtLeast: 0.8, isWhole: false },
  { shape: '1.2b', format: 'q6_k', turns: 3, decodeAtLeast: 0.8, isWhole: false },
];

const TWO_THREADS_AT_LEAST = 1.2;
const SECOND_THREAD = { prefill: 1.8, decode: 1.3 } as const;
const PLAIN_SIMD_AT_LEAST = 0.5;
const STREAM_SHARE_AT_LEAST = 0.75;
const PREFILL_TOKENS = 512;
const DECODE_AFTER = 128;
const DECODE_TOKENS = 128;
const QUICK_DECODE_TOKENS = 32;

/** Glassformer beside llama.cpp as native code, on the same files. */
export const NATIVE: PeerSection = { name: 'native', run: measureNative };

async function measureNative({ quick, mostTurns, nodes }: PeerPace): Promise<Map<string, Table>> {
  const figures = new Map<string, Figure[]>(nodes.map(({ label }) => [label, []]));
  const decodeTokens = quick ? QUICK_DECODE_TOKENS : DECODE_TOKENS;
  for (const one of CASES) {
    const title = `${one.shape} ${one.format}`;
    const start = performance.now();
    const runs = await takeTurns(contendersOf(one, nodes), {
      model: await randomModel(one.shape, one.format),
      turns: quick ? 1 : Math.min(one.turns, mostTurns),
      decodeTokens,
      decodeAfter: DECODE_AFTER,
      prefillTokens: PREFILL_TOKENS,
      works: ['stream', 'decode', ...(one.isWhole ? (['prefill'] as const) : [])],
    });
    for (const node of nodes) figures.get(node.label)!.push(...rowsOf(one, title, node, runs, decodeTokens));
    process.stderr.write(`peers: ${title} took ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  }
  const flag = nodes.find(({ wideFlag }) => wideFlag !== undefined)?.wideFlag;
  const wideNote =
    flag === undefined ? '' : ` 256-bit vectors: under V8's ${flag}, which is off by default (kernels.md).`;
  const note = `Prefill of ${PREFILL_TOKENS} tokens; decode of ${decodeTokens} tokens after ${DECODE_AFTER}. A ratio is our speed over theirs.${wideNote}`;
  return new Map(
    [...figures].map(([label, rows]) => [label, { title: 'Beside llama.cpp, native', note, figures: rows }]),
  );
}

function contendersOf({ isWhole }: Case, nodes: readonly NodeProgram[]): Contender[] {
  const ours = nodes.flatMap((node): Contender[] => {
    const engine = 'glassformer';
    const one: Contender = { name: `${node.label} 1`, engine, node, threads: 1 };
    const { wideFlag } = node;
    const wide = wideFlag === undefined ? [] : [{ ...one, name: `${node.label} wide`, flags: [wideFlag] }];
    if (!isWhole) return [one, ...wide];
    return [
      one,
      ...wide,
      { name: `${node.label} 2`, engine, node, threads: 2 },
      { name: `${node.label} simd`, engine, node, threads: 1, kernels: 'simd' },
    ];
  });
  const llama: Contender = { name: 'llama 1', engine: 'llama_cpp', threads: 1 };
  return [...ours, llama, ...(isWhole ? [{ ...llama, name: 'llama 2', threads: 2 }] : [])];
}

function rowsOf(
  { decodeAtLeast, prefillAtLeast, isWhole }: Case,
  title: string,
  node: NodeProgram,
  runs: ReadonlyMap<string, Runs>,
  decodeTokens: number,
): Figure[] {
  const [one, two, simd, wide] = ['1', '2', 'simd', 'wide'].map((name) => runs.get(`${node.label} ${name}`));
  const [llama, llamaTwo] = [runs.get('llama 1'), runs.get('llama 2')];
  const rows: Figure[] = [];
  const works: [Work, number, number | undefined][] = [['decode', decodeTokens, decodeAtLeast]];
  if (isWhole) works.push(['prefill', PREFILL_TOKENS, prefillAtLeast]);
  for (const [work, nTokens, atLeast] of works) {
    const name = `${title} ${work}`;
    rows.push(
      rateFigure(`${name}, Glassformer`, one, work, nTokens),
      rateFigure(`${name}, llama.cpp`, llama, work, nTokens),
      ratioFigure(`${name}: ratio`, one, llama, work, atLeast === undefined ? undefined : { atLeast }),
    );
    if (node.wideFlag !== undefined) {
      rows.push(
        rateFigure(`${name}, Glassformer, 256-bit vectors`, wide, work, nTokens),
        ratioFigure(`${name}: ratio with 256-bit vectors`, wide, llama, work),
      );
    }
    if (!isWhole) continue;
    const best = betterOf(llama, llamaTwo, work);
    rows.push(
      rateFigure(`${name}, Glassformer, 2 threads`, two, work, nTokens),
      rateFigure(`${name}, llama.cpp, 2 threads`, llamaTwo, work, nTokens),
      ratioFigure(
        `${name}: our 2 threads / the better of its 1 and 2`,
        two,
        best,
        work,
        work === 'decode' ? { atLeast: TWO_THREADS_AT_LEAST } : undefined,
      ),
      ratioFigure(`${name}: 2 threads / 1`, two, one, work, { atLeast: SECOND_THREAD[work as 'decode' | 'prefill'] }),
    );
    const target = work === 'decode' ? { atLeast: PLAIN_SIMD_AT_LEAST } : undefined;
    rows.push(ratioFigure(`${name}: plain SIMD / relaxed`, simd, one, work, target));
  }
  rows.push(...streamRows(title, one, decodeTokens));
  return rows;
}

/** By median of the clock. */
function betterOf(a: Runs | undefined, b: Runs | undefined, work: Work): Runs | undefined {
  if (whyMissing(a, work) !== undefined || whyMissing(b, work) !== undefined) return a;
  const median = (runs: Runs): number => figure('', '', millisecondsOf(runs, work, true)).spread.median;
  return median(b!) < median(a!) ? b : a;
}

/** Only where the stream read took turns with this engine: with the newest Node. */
function streamRows(title: string, runs: Runs | undefined, nTokens: number): Figure[] {
  const target = title === '1.2b q4_0' ? { atLeast: STREAM_SHARE_AT_LEAST } : undefined;
  const what = `${title} decode: share of the stream read`;
  const why = whyMissing(runs, 'stream') ?? whyMissing(runs, 'decode');
  if (why !== undefined) return runs?.failure === undefined ? [] : [missingFigure(what, 'x', why, target)];
  const stream = millisecondsOf(runs!, 'stream', false).map((ms) => STREAM_BYTES / ms / 1e6);
  const { weightBytes } = runs!.process!;
  const decode = millisecondsOf(runs!, 'decode', false).map((ms) => ((weightBytes ?? NaN) * nTokens) / ms / 1e6);
  return [
    figure(`${title} decode, weights read`, 'GB/s', decode),
    figure(`${title}: stream read`, 'GB/s', stream),
    figure(
      what,
      'x',
      // Of the fastest read of the run: one that was held up is no limit, and made a share of 6.
      decode.map((rate) => rate / Math.max(...stream)),
      target,
    ),
  ];
}

import { statSync } from 'node:fs';
import { type Figure, figure, missingFigure, type Table } from '../bench/figures.ts';
import { randomModel } from '../bench/random_model.ts';
import { firstLine } from './contenders.ts';
import { type EngineProcess, startEngine } from './engine_process.ts';
import type { NodeProgram } from './nodes.ts';
import type { PeerSection } from './section.ts';

const SHAPE = '1.2b';
const FORMAT = 'q4_0';
const LOADS = 5;
const QUICK_LOADS = 1;
const MAX_SEQ = 1024;
/** Long enough for every buffer of a prompt to be there. */
const RUN = { prefill: 256, decode: 8 };

const GB_PER_SECOND = 1;
/** Peak memory at most: so many times the file, and so much more. */
const FILE_TIMES = 1.25;
const MORE_MB = 100;

/** What loading a large model takes: time from a warm file cache, and memory of a process that loads and runs it. */
export const LOAD_MEMORY: PeerSection = {
  name: 'load',
  async run({ quick, nodes }) {
    const model = await randomModel(SHAPE, FORMAT);
    const fileBytes = statSync(model).size;
    const nLoads = quick ? QUICK_LOADS : LOADS;
    const tables = new Map<string, Table>();
    for (const node of nodes) tables.set(node.label, await measure(model, fileBytes, node, nLoads));
    return tables;
  },
};

async function measure(model: string, fileBytes: number, node: NodeProgram, nLoads: number): Promise<Table> {
  const what = `${SHAPE} ${FORMAT}`;
  const memoryTarget = { atMost: Math.round((FILE_TIMES * fileBytes) / 1e6 + MORE_MB) };
  const figures: Figure[] = [figure(`${what}: file`, 'MB', [fileBytes / 1e6])];
  const sides = [
    { name: 'Glassformer', engine: 'glassformer', path: node.path },
    { name: 'llama.cpp', engine: 'llama_cpp', path: process.execPath },
  ] as const;
  const results = new Map(sides.map(({ name }) => [name, { rates: [] as number[], peaks: [] as number[], why: '' }]));
  for (let load = 0; load < nLoads; load++) {
    for (const { name, engine, path } of sides) {
      const result = results.get(name)!;
      if (result.why !== '') continue;
      let child: EngineProcess | undefined;
      try {
        child = await startEngine(engine, { model, threads: 1, maxSeq: MAX_SEQ }, path);
        await child.prefill(RUN.prefill);
        const { peakRssBytes } = await child.decode(RUN.decode, RUN.prefill);
        result.rates.push(fileBytes / child.load.clockMs / 1e6);
        result.peaks.push(peakRssBytes / 1e6);
      } catch (e) {
        result.why = firstLine(e);
      } finally {
        await child?.close();
      }
    }
  }
  for (const { name } of sides) {
    const { rates, peaks, why } = results.get(name)!;
    const isOurs = name === 'Glassformer';
    const [speedTarget, peakTarget] = isOurs ? [{ atLeast: GB_PER_SECOND }, memoryTarget] : [];
    const [speed, peak] = [`${what}: load, ${name}`, `${what}: peak memory, ${name}`];
    figures.push(
      why === '' ? figure(speed, 'GB/s', rates, speedTarget) : missingFigure(speed, 'GB/s', why, speedTarget),
      why === '' ? figure(peak, 'MB', peaks, peakTarget) : missingFigure(peak, 'MB', why, peakTarget),
    );
  }
  return {
    title: 'Loading a model of 1.2 billion weights',
    note: `Bytes of the file per second from a warm file cache until the first token could be run, repacking included, by the clock; peak memory of the whole process after a prompt of ${RUN.prefill} tokens and ${RUN.decode} more. llama.cpp maps the file, whose pages count when they are touched.`,
    figures,
  };
}

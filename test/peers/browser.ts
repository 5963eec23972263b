import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { type Figure, figure, missingFigure, type Table } from '../bench/figures.ts';
import { rates, ratios } from '../bench/measure.ts';
import { randomModel } from '../bench/random_model.ts';
import { withChromium } from '../hosts/launch_chromium.ts';
import { serveFolder } from '../hosts/static_server.ts';
import { firstLine } from './contenders.ts';
import type { PageOptions } from './page/page_engine.ts';
import { rendererCpuMs } from './renderer_time.ts';
import type { PeerSection } from './section.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const PACKAGES = ['wllama-2', 'wllama-3', 'wllama-newest'] as const;
const ENGINES = ['glassformer', ...PACKAGES] as const;
const NAMES = {
  glassformer: 'Glassformer',
  'wllama-2': 'wllama 2.4',
  'wllama-3': 'wllama 3.8',
  'wllama-newest': 'wllama 3.13',
} as const;

const AT_LEAST = { prefill: 15, decode: 8 } as const;
/** Few, since these peers take long. */
const WHOLE = { prefill: 64, decode: 32, turns: 3, threads: [1, 2] } as const;
const QUICK = { prefill: 64, decode: 32, turns: 1, threads: [1] } as const;
type Amount = typeof WHOLE | typeof QUICK;

/** Glassformer beside llama.cpp compiled to WASM: all in one page. */
export const BROWSER: PeerSection = {
  name: 'browser',
  async run({ quick, nodes }) {
    const folder = mkdtempSync(join(tmpdir(), 'glassformer-peers-page-'));
    try {
      await fillFolder(folder, await randomModel('135m', 'q4_0'));
      const server = await serveFolder(folder);
      try {
        const table = await withChromium(async (openPage) =>
          measure(await openPage(`${server.address}/index.html`), quick ? QUICK : WHOLE),
        );
        return new Map([[nodes[0]!.label, table]]);
      } finally {
        await server.close();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function fillFolder(folder: string, model: string): Promise<void> {
  await build({
    entryPoints: ['page.ts', 'glassformer_worker.ts'].map((name) => join(HERE, 'page', name)),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    external: PACKAGES.map((name) => `/${name}/*`),
  });
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><meta charset="utf-8"><script type="module" src="/page.mjs"></script>',
  );
  symlinkSync(model, join(folder, 'model.gguf'));
  cpSync(join(ROOT, 'dist/wasm'), join(folder, 'wasm'), { recursive: true });
  for (const name of PACKAGES) symlinkSync(join(HERE, 'node_modules', name, 'esm'), join(folder, name));
}

/** What page.ts puts on the page. */
declare const peers: {
  open(options: PageOptions): Promise<void>;
  prefill(options: PageOptions, nTokens: number): Promise<number>;
  prepare(options: PageOptions, nTokens: number): Promise<void>;
  decode(options: PageOptions, nTokens: number): Promise<number>;
};

interface Run {
  readonly options: PageOptions;
  readonly prefill: number[];
  readonly decode: number[];
  failure?: string;
}

async function measure(page: Page, amount: Amount): Promise<Table> {
  await page.waitForFunction(() => 'peers' in globalThis);
  const runs = amount.threads.flatMap((threads) =>
    ENGINES.map((engine): Run => ({ options: { engine, threads }, prefill: [], decode: [] })),
  );
  const attempt = async (run: Run, work: () => Promise<void>): Promise<void> => {
    if (run.failure !== undefined) return;
    try {
      await work();
    } catch (e) {
      run.failure = firstLine(e).replace('page.evaluate: ', '');
      process.stderr.write(`peers: ${run.options.engine} ${run.options.threads}: ${run.failure}\n`);
    }
  };
  const prefill = (run: Run, n: number) =>
    withoutOthers(run, () => page.evaluate(({ options, n }) => peers.prefill(options, n), { options: run.options, n }));
  const decode = async (run: Run, n: number): Promise<number> => {
    const { options } = run;
    await page.evaluate(({ options, n }) => peers.prepare(options, n), { options, n: amount.prefill });
    return withoutOthers(run, () => page.evaluate(({ options, n }) => peers.decode(options, n), { options, n }));
  };
  for (const run of runs) {
    await attempt(run, async () => {
      await page.evaluate((options) => peers.open(options), run.options);
      await prefill(run, 16);
    });
  }
  for (let turn = 0; turn < amount.turns; turn++) {
    for (const run of runs) await attempt(run, async () => void run.prefill.push(await prefill(run, amount.prefill)));
    for (const run of runs) await attempt(run, async () => void run.decode.push(await decode(run, amount.decode)));
  }
  const version = page.context().browser()?.version() ?? 'of the system';
  return {
    title: 'Beside wllama, in a browser',
    note: `135m q4_0 in Chromium ${version}, all engines in one page that is cross-origin isolated. By the clock; with one thread, less the share of it in which the page waited for a processor. Prefill of ${amount.prefill} tokens, decode of ${amount.decode} after them. wllama is llama.cpp compiled to WASM; 3.8 and 3.13 tell their times themselves.`,
    figures: amount.threads.flatMap((threads) =>
      rowsOf(
        runs.filter(({ options }) => options.threads === threads),
        threads,
        amount,
      ),
    ),
  };
}

/**
 * With one thread: the milliseconds that a call tells, times the share of the whole call in which the page was on a processor,
 * so that other programs do not count. With more there is no telling, and they stay as they are.
 */
async function withoutOthers({ options }: Run, call: () => Promise<number>): Promise<number> {
  const cpuStart = rendererCpuMs();
  const start = performance.now();
  const ms = await call();
  const clockMs = performance.now() - start;
  const cpuEnd = rendererCpuMs();
  if (options.threads > 1 || cpuStart === undefined || cpuEnd === undefined) return ms;
  return ms * Math.min(1, (cpuEnd - cpuStart) / clockMs);
}

function rowsOf(runs: readonly Run[], threads: number, amount: Amount): Figure[] {
  const rows: Figure[] = [];
  const ours = runs.find(({ options }) => options.engine === 'glassformer')!;
  const side = threads === 1 ? '1 thread' : `${threads} threads`;
  for (const work of ['prefill', 'decode'] as const) {
    for (const run of runs) {
      const what = `${work}, ${side}: ${NAMES[run.options.engine]}`;
      rows.push(
        run.failure === undefined
          ? figure(what, 'tokens/s', rates(run[work], amount[work]))
          : missingFigure(what, 'tokens/s', run.failure),
      );
    }
    for (const run of runs) {
      if (run === ours) continue;
      const what = `${work}, ${side}: ratio to ${NAMES[run.options.engine]}`;
      const target = threads === 1 ? { atLeast: AT_LEAST[work] } : undefined;
      const failure = ours.failure ?? run.failure;
      rows.push(
        failure === undefined
          ? figure(what, 'x', ratios(run[work], ours[work]), target)
          : missingFigure(what, 'x', failure, target),
      );
    }
  }
  return rows;
}

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { exp, log } from '../../src/core/math.ts';
import type { OpenedModel } from '../../src/engine/load_model.ts';
import { type BoundsReport, checkBounds } from '../../src/exec/bounds.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { activationErrorTable } from './activation_error.ts';
import { grouped, short, table } from './number_text.ts';
import { ROOT } from './root.ts';
import { plainExecutor, type Run, runAll, withModel } from './run_model.ts';

/** What every model reads here: stories are what the small ones know. */
const TEXT = 'Once upon a time, there was a little girl named Lily. She loved to play in the park.';

const FORMS: readonly Activations[] = ['q8', 'f32'];

/** Optional models, in the folder that the caller names. */
const OPTIONAL: readonly (readonly [folder: string, file: string])[] = [
  ['stories260k', 'stories260K-f32.gguf'],
  ['stories260k', 'stories260K-q8_0.gguf'],
  ['tinystories-656k', 'tinystories-656k-f32.gguf'],
  ['tinystories-656k', 'tinystories-656k-f16.gguf'],
  ['tinystories-656k', 'tinystories-656k-q8_0.gguf'],
  ['tinystories-656k', 'tinystories-656k-q4_0.gguf'],
];

/** Path of a file among the optional models. */
export type ModelPath = (...parts: string[]) => string;

/** The regions of docs/numerics.md. Those of optional models are left out where these are not there. */
export async function numericsRegions(modelPath?: ModelPath): Promise<ReadonlyMap<string, string>> {
  const embedded = await measure('embedded');
  const regions = new Map([
    ['ulps', ulpTable()],
    ['setup', setup(embedded)],
    ['bounds', boundsTable(embedded)],
    ['distance', distanceTable([embedded])],
    ['activation error', await withModel('embedded', (m) => activationErrorTable(m, m.tokenizer.encode(TEXT)))],
  ]);
  const paths = OPTIONAL.map((parts) => modelPath?.(...parts) ?? '');
  if (!paths.every((path) => existsSync(path))) return regions;
  const others: Measured[] = [];
  for (const path of paths) others.push(await measure(path));
  regions.set('distance of other models', distanceTable(others));
  regions.set('bounds of other models', worstTable(others));
  return regions;
}

interface Measured {
  readonly name: string;
  readonly nTokens: number;
  readonly truth: Run;
  readonly forms: readonly { readonly activations: Activations; readonly run: Run; readonly bounds: BoundsReport }[];
}

async function measure(model: string): Promise<Measured> {
  return withModel(model, async (opened) => {
    const ids = opened.tokenizer.encode(TEXT);
    const truth = runAll(await plainExecutor(opened, 'naive64', 'f32'), ids);
    const forms = [];
    for (const activations of hasBlocks(opened) ? FORMS : FORMS.slice(1)) {
      const run = runAll(await plainExecutor(opened, 'naive', activations), ids);
      forms.push({ activations, run, bounds: await checked(opened, run) });
    }
    return { name: basename(model), nTokens: ids.length, truth, forms };
  });
}

/** With float weights the two forms are one. */
function hasBlocks({ description }: OpenedModel): boolean {
  return [...description.tensors.values()].some(({ type }) => type.startsWith('q'));
}

/** Every value of a run held to its bound. Throws when one lies outside. */
async function checked({ description }: OpenedModel, run: Run): Promise<BoundsReport> {
  const report = checkBounds({ ...run, weights: await loadWeights(run.graph, description.tensors) });
  const outside = report.firstOutside;
  if (outside !== undefined) throw new Error(`${outside.name}: element ${outside.index} lies outside its bound`);
  return report;
}

/** What the f32 functions promise, out of their own comments. */
function ulpTable(): string {
  const source = readFileSync(new URL('src/core/math_f32.ts', ROOT), 'utf8');
  const rows = [...source.matchAll(/At most (\S+) ulp off(?:[^/]|\/(?!\*))*?export function (\w+)/g)];
  if (rows.length !== 3) throw new Error(`math_f32.ts: ${rows.length} functions state an error, expected 3`);
  return table(
    ['function', 'at most, ulp'],
    rows.map(([, ulps, name]) => [`\`${name}\``, ulps!]),
  );
}

function setup({ nTokens, truth }: Measured): string {
  return `The text is "${TEXT}" (${nTokens} tokens of the embedded model, ${truth.recording.values.size} recorded values, ${grouped(truth.recording.logits.data.length)} logits).`;
}

/** One line for each op, both forms side by side where both have it. */
function boundsTable({ forms }: Measured): string {
  const ops = [...new Set(forms.flatMap(({ bounds }) => bounds.ops.map(({ op }) => op)))];
  const rows = ops.map((op) => {
    const found = forms.flatMap(({ bounds }) => bounds.ops.filter((entry) => entry.op === op));
    const nValues = found.reduce((n, entry) => n + entry.nValues, 0);
    const error = Math.max(...found.map((entry) => entry.worstError));
    const ratio = Math.max(...found.map((entry) => entry.worstRatio));
    return [`\`${op}\``, grouped(nValues), short(error), short(ratio)];
  });
  return table(['op', 'elements', 'largest error', 'largest error / bound'], rows);
}

/** The op that came nearest to its bound, for each model. */
function worstTable(models: readonly Measured[]): string {
  const rows = models.flatMap(({ name, forms }) =>
    forms.map(({ activations, bounds }) => {
      const worst = bounds.ops.reduce((a, b) => (b.worstRatio > a.worstRatio ? b : a));
      const nValues = bounds.ops.reduce((n, { nValues: more }) => n + more, 0);
      return [name, activations, grouped(nValues), `\`${worst.op}\``, short(worst.worstRatio)];
    }),
  );
  return table(['model', 'activations', 'elements', 'nearest op', 'error / bound'], rows);
}

function distanceTable(models: readonly Measured[]): string {
  const rows = models.flatMap(({ name, truth, forms }) =>
    forms.map(({ activations, run }) => [name, activations, ...distance(run, truth)]),
  );
  return table(['model', 'activations', 'largest', 'root mean square', 'KL, nats', 'same first choice'], rows);
}

/** Of logits [T, vocab] from their truth: largest and root mean square difference, mean KL divergence, equal choices. */
function distance(run: Run, truth: Run): string[] {
  const { vocab, data } = truth.recording.logits;
  let largest = 0;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    const error = Math.abs(run.recording.logits.data[i]! - data[i]!);
    largest = Math.max(largest, error);
    squares += error * error;
  }
  const nRows = data.length / vocab;
  let divergence = 0;
  let nSame = 0;
  for (let t = 0; t < nRows; t++) {
    const p = logSoftmax(data.subarray(t * vocab, (t + 1) * vocab));
    const q = logSoftmax(run.recording.logits.data.subarray(t * vocab, (t + 1) * vocab));
    for (let i = 0; i < vocab; i++) divergence += exp(p[i]!) * (p[i]! - q[i]!);
    if (p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q))) nSame++;
  }
  return [short(largest), short(Math.sqrt(squares / data.length)), short(divergence / nRows), `${nSame} of ${nRows}`];
}

function logSoftmax(logits: Float32Array | Float64Array): Float64Array {
  const x = Float64Array.from(logits);
  const max = x.reduce((a, b) => Math.max(a, b));
  const sum = log(x.reduce((total, v) => total + exp(v - max), 0));
  return x.map((v) => v - max - sum);
}

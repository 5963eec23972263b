import type { Summary } from '../engine/generate.ts';
import type { ManyRequest } from '../engine/generate_many.ts';
import type { Model } from '../engine/model.ts';
import { sampleSeed } from '../engine/sample_seed.ts';
import { printable, printableText } from './format.ts';
import { INTERRUPTED, type Io } from './io.ts';
import { writeJson } from './json.ts';
import { REPORTED_FAILURE } from './usage.ts';

/** One request as it is run, and what messages call it: "line 3", or nothing where there is one prompt only. */
export interface NamedRequest {
  readonly name: string;
  readonly request: ManyRequest & { readonly seed: number | bigint };
}

interface Sample {
  readonly index: number;
  readonly sample: number;
  text: string;
  readonly ids: number[];
  end: { readonly summary: Summary } | { readonly error: unknown } | undefined;
}

/**
 * Runs all requests together and shows each sample when it and all before it have ended: in the order of the file, whatever ended first.
 * With --json a line each: {index, sample, text, ids, finishReason, timings, seed}, or {index, sample, error} and exit code 1. Ctrl-C shows what
 * there is until then, with finishReason "interrupted".
 */
export async function runMany(
  io: Io,
  model: Model,
  named: readonly NamedRequest[],
  { isJson, maxBatch }: { readonly isJson: boolean; readonly maxBatch: number | undefined },
): Promise<void> {
  const samples: Sample[] = named.flatMap(({ request }, index) =>
    Array.from({ length: request.n ?? 1 }, (_, sample) => ({ index, sample, text: '', ids: [], end: undefined })),
  );
  const find = new Map(samples.map((s) => [`${s.index} ${s.sample}`, s]));
  let nShown = 0;
  let nFailed = 0;
  const show = (s: Sample): void => {
    const { name, request } = named[s.index]!;
    const title = [name, (request.n ?? 1) > 1 ? `sample ${s.sample}` : ''].filter((part) => part !== '').join(', ');
    if (s.end !== undefined && 'error' in s.end) {
      nFailed++;
      const message = s.end.error instanceof Error ? s.end.error.message : String(s.end.error);
      if (isJson) writeJson(io.stdout, { index: s.index, sample: s.sample, error: message });
      else io.stderr.write(`error: ${title}: ${printable(message)}\n`);
    } else if (isJson) {
      writeJson(io.stdout, resultJson(s, sampleSeed(request.seed, s.sample)));
    } else {
      io.stdout.write(`== ${title} ==\n${io.stdout.isTerminal ? printableText(s.text) : s.text}\n`);
    }
  };
  const showEnded = (): void => {
    for (let s = samples[nShown]; s?.end !== undefined; s = samples[nShown]) {
      show(s);
      nShown++;
    }
  };
  try {
    const requests = named.map(({ request }) => request);
    const options = { signal: io.signal, ...(maxBatch !== undefined && { maxBatch }) };
    for await (const event of model.generateMany(requests, options)) {
      const s = find.get(`${event.index} ${event.sample}`)!;
      if ('piece' in event) {
        s.text += event.piece.text;
        s.ids.push(event.piece.id);
      } else {
        s.end = event;
        showEnded();
      }
    }
  } catch (error) {
    if (error === INTERRUPTED) for (const s of samples.slice(nShown)) if (s.ids.length > 0) show(s);
    throw error;
  }
  if (nFailed === 0) return;
  io.stderr.write(`error: ${nFailed} of ${samples.length} failed\n`);
  throw REPORTED_FAILURE;
}

function resultJson({ index, sample, text, ids, end }: Sample, seed: bigint) {
  if (end === undefined || 'error' in end) return { index, sample, text, ids, finishReason: 'interrupted' };
  const { finishReason, isComplete, ...timings } = end.summary;
  const completeness = isComplete !== undefined && { isComplete };
  return {
    index,
    sample,
    text,
    ids,
    finishReason,
    ...completeness,
    timings,
    seed: seed <= Number.MAX_SAFE_INTEGER ? Number(seed) : seed,
  };
}

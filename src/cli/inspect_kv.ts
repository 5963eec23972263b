import type { KvStats, PageStats, RowStats } from '../kvcache/cache.ts';
import type { KvKind } from '../kvcache/options.ts';
import { PAGE_POSITIONS } from '../kvcache/row_pages.ts';
import { showBytes, showCount } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { type KvFlags, kvOptionsOf } from './kv_options.ts';
import { rowLines, rowPicture } from './kv_rows.ts';
import { loadForCommand } from './load.ts';
import { type GraphFlags, loadOptionsOf } from './model_options.ts';
import { promptIds, readPrompt } from './prompt.ts';

export interface InspectKvFlags extends GraphFlags, Omit<KvFlags, 'kv'> {
  /** true where no form was named. */
  readonly kv?: KvKind | true;
  readonly prompt?: string;
  readonly ids?: readonly number[];
}

/**
 * Runs a prompt on the model in three ways, so that there is something to see: a session, a fork of it, and another session
 * with the same prompt. The first two then go on, each with a token of its own. Shows what the cache holds then.
 */
export async function showKv(io: Io, flags: InspectKvFlags): Promise<void> {
  const { kv, ...rest } = flags;
  const form = kv !== true ? kv : kvOptionsOf(rest).kv === undefined ? 'paged' : undefined;
  const options = await loadOptionsOf({ ...rest, ...(form !== undefined && { kv: form }) });
  const words = flags.prompt === undefined ? [] : [flags.prompt];
  const input = await readPrompt(io, { words, ...(flags.ids !== undefined && { ids: flags.ids }) });
  await using model = await loadForCommand(io, flags.model, options);
  const ids = promptIds(model, input);
  const [one = 0, other = one] = [...new Set([...ids].reverse())];
  using first = model.createSession();
  await first.append(ids, { signal: io.signal });
  using fork = first.fork();
  await first.append([one], { signal: io.signal });
  await fork.append([other], { signal: io.signal });
  using again = model.createSession();
  await again.append(ids, { signal: io.signal });
  const stats = model.cacheStats();
  if (flags.json === true) writeJson(io.stdout, { promptTokens: ids.length, kv: stats });
  else io.stdout.write(kvText(stats, ids.length));
}

/** What a cache holds, and its pages drawn: a sign for each place in memory, then each sequence's pages by number. */
export function kvText(stats: KvStats, promptTokens: number): string {
  const { pages, prefix, file, rows } = stats;
  const lines = [
    `${stats.kind}: a prompt of ${showCount(promptTokens)} tokens, a fork of it, and the same prompt again`,
    '',
    `sequences   ${stats.nSequences}, ${showCount(stats.nPositions)} positions in all`,
    `memory      ${showBytes(stats.nBytes)}`,
  ];
  if (rows !== undefined) lines.push(...rowLines(rows));
  const drawn = rows === undefined ? [] : ['', ...rowPicture(rows)];
  if (pages === undefined) {
    if (rows !== undefined) {
      const nPages = rows.sequences.reduce((n, sequence) => n + sequence.nPages, 0);
      lines.push(`pages       of ${PAGE_POSITIONS} positions: ${nPages} used, each by one sequence`);
    }
    return `${[...lines, ...drawn].join('\n')}\n`;
  }
  const most = pages.nMost === Infinity ? 'no limit' : `at most ${showCount(pages.nMost)}`;
  lines.push(
    `pages       of ${pages.size} positions: ${pages.nUsed} used, ${pages.nShared} of them shared, ` +
      `${pages.nKept} kept, ${pages.nFree} free; ${most}`,
    `copies      ${pages.nCopied}, of shared pages before a write`,
  );
  if (prefix !== undefined) {
    lines.push(
      `found       ${prefix.nHits} pages, ${prefix.nMisses} looked for in vain; ${prefix.nFindable} can be found, ${prefix.nEvicted} given up`,
    );
  }
  if (file !== undefined) {
    lines.push(
      `page file   ${file.nCold} pages, ${showBytes(file.nBytes)}; ${file.nWritten} written, ${file.nRead} read`,
    );
  }
  return `${[...lines, '', ...pagePicture(pages, rows), ...drawn].join('\n')}\n`;
}

const SIGNS_IN_LINE = 64;

function pagePicture({ size, tables, nUsed, nKept, nFree }: PageStats, rows?: RowStats): string[] {
  const users = new Map<number, number>();
  for (const table of tables) for (const page of table.pages) users.set(page, (users.get(page) ?? 0) + 1);
  users.delete(-1);
  const last = [...users.keys()].reduce((most, page) => Math.max(most, page), -1);
  const nPlaces = Math.max(last + 1, nUsed + nKept + nFree);
  const signs = Array.from({ length: nPlaces }, (_, page) => {
    const n = users.get(page) ?? 0;
    return n === 0 ? '.' : n > 9 ? '+' : String(n);
  });
  const lines = ['pages by number, and how many sequences have each (. none)'];
  for (let from = 0; from < nPlaces; from += SIGNS_IN_LINE) {
    lines.push(`  ${String(from).padStart(5)}  ${signs.slice(from, from + SIGNS_IN_LINE).join('')}`);
  }
  lines.push('', 'page tables');
  for (const { sequence, length, pages, nRuns } of tables) {
    const kept = rows?.sequences.find((one) => one.sequence === sequence)?.kept;
    const nDropped = Math.ceil(length / size) - pages.length;
    // Behind the sinks: where the first stretch that is kept and the next one do not meet.
    const gap =
      nDropped === 0
        ? 0
        : Math.max(
            0,
            kept!.findIndex(({ from }, i) => from !== i * size),
          );
    const rest = length % size === 0 ? '' : ` (${length % size} rows)`;
    const runs = nRuns === 1 ? '1 run' : `${nRuns} runs`;
    const numbers = [
      ...stretches(pages.slice(0, gap)),
      ...(nDropped === 0 ? [] : [`dropped x${nDropped}`]),
      ...stretches(pages.slice(gap)),
    ];
    lines.push(`  sequence ${sequence}, ${length} positions in ${runs}: ${numbers.join(' ')}${rest}`);
  }
  return lines;
}

/** [0, 1, 2, 5, -1, -1] -> "0-2", "5", "file x2". */
function stretches(pages: readonly number[]): string[] {
  const texts: string[] = [];
  for (let first = 0; first < pages.length; ) {
    const start = pages[first]!;
    let end = first + 1;
    while (end < pages.length && pages[end] === (start < 0 ? start : start + end - first)) end++;
    const n = end - first;
    if (start < 0) texts.push(`file x${n}`);
    else texts.push(n === 1 ? `${start}` : `${start}-${start + n - 1}`);
    first = end;
  }
  return texts;
}

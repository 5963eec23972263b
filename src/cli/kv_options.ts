import { type Command, Option } from 'commander';
import type { LoadOptions } from '../engine/options.ts';
import { KV_TYPES, type KvType } from '../kvcache/coded_rows.ts';
import { EVICT_RULES } from '../kvcache/evict_options.ts';
import { DEFAULT_SINKS } from '../kvcache/lossy_options.ts';
import { KV_KINDS, type KvKind, type KvOptions } from '../kvcache/options.ts';
import { parseCount } from './arguments.ts';
import { usageError } from './usage.ts';

/** Flags of commands that choose the form of the KV cache. The engine checks them; see loadOptionsOf. */
export interface KvFlags {
  readonly kv?: KvKind;
  readonly pageSize?: number;
  readonly kvBudget?: number;
  readonly prefillChunk?: number;
  readonly window?: number;
  readonly sinks?: number;
  readonly kvType?: KvType;
  readonly kvRecent?: number;
  readonly kvEvict?: 'importance';
}

export function addKvOptions(command: Command): Command {
  return addLossyOptions(
    addPageOptions(
      command.addOption(
        new Option('--kv <form>', 'the form of the KV cache (default: contiguous); all give the same bits').choices(
          KV_KINDS,
        ),
      ),
    ),
  ).option('--prefill-chunk <n>', 'tokens per run while a prompt is read (default: 128)', parseCount);
}

/** Those that forms made of pages have. */
export function addPageOptions(command: Command): Command {
  return command
    .option(
      '--page-size <n>',
      'positions of a page of the KV cache, a multiple of 16 (default: 16); alone: --kv paged',
      parseCount,
    )
    .option('--kv-budget <n>', 'positions that all sequences may hold together; alone: --kv paged', parseCount);
}

/** Those that change numbers. */
export function addLossyOptions(command: Command): Command {
  return command
    .option('--window <n>', 'each position sees the last n alone, and the sinks; older rows are freed', parseCount)
    .option(
      `--sinks <n>`,
      `first positions that always stay, with --window or --kv-evict (default: ${DEFAULT_SINKS})`,
      parseCount,
    )
    .addOption(
      new Option('--kv-evict <rule>', 'with --kv-budget: a sequence keeps the rows attended to most').choices(
        EVICT_RULES,
      ),
    )
    .addOption(
      new Option('--kv-type <type>', 'how rows of the KV cache are stored (default: f32); others round').choices(
        KV_TYPES,
      ),
    )
    .option(
      '--kv-recent <n>',
      'newest positions that stay: f32 with --kv-type (default: 0), there with --kv-evict (default: half)',
      parseCount,
    );
}

/**
 * The flags as load options. A form that is not named follows from them: a page size or a budget asks for pages, losses alone for the form
 * that is made for them; --kv contiguous says the same as none. What a form cannot have is left to the check, which says what to do.
 */
export function kvOptionsOf(flags: KvFlags): Pick<LoadOptions, 'kv' | 'prefillChunk'> {
  const { kv, pageSize, kvBudget, prefillChunk, window, sinks, kvType, kvRecent, kvEvict } = flags;
  // Every form keeps rows in f32 unless told otherwise: said aloud, it chooses no form.
  const losses = { window, sinks, type: kvType === 'f32' ? undefined : kvType, recent: kvRecent };
  const isLossy = Object.values(losses).some((value) => value !== undefined);
  const hasPages = pageSize !== undefined || kvBudget !== undefined;
  const alone = kv === undefined || kv === 'contiguous';
  if (kvEvict !== undefined && !alone) {
    throw usageError(
      `--kv-evict gives up rows of one sequence alone, and pages of --kv ${kv} may have several; leave out --kv ${kv}, or forget by age with --kv paged --window N`,
    );
  }
  const kind =
    kvEvict !== undefined
      ? 'evict'
      : kv === 'contiguous' && hasPages
        ? 'contiguous'
        : !alone
          ? kv
          : hasPages
            ? 'paged'
            : isLossy
              ? 'lossy'
              : 'contiguous';
  const options = { kind, by: kvEvict, pageSize, budget: kvBudget, ...losses } as unknown as KvOptions;
  const isSaid = isLossy || kv !== undefined || hasPages || kvEvict !== undefined;
  return { ...(isSaid && { kv: options }), ...(prefillChunk !== undefined && { prefillChunk }) };
}

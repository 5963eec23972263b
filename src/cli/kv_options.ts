import { type Command, Option } from 'commander';
import type { LoadOptions } from '../engine/options.ts';
import { KV_KINDS, type KvKind, type KvOptions } from '../kvcache/options.ts';
import { parseCount } from './arguments.ts';

/** Flags of commands that choose the form of the KV cache. The engine checks them; see loadOptionsOf. */
export interface KvFlags {
  readonly kv?: KvKind;
  readonly pageSize?: number;
  readonly kvBudget?: number;
  readonly prefillChunk?: number;
}

export function addKvOptions(command: Command): Command {
  return addPageOptions(
    command.addOption(
      new Option('--kv <form>', 'the form of the KV cache (default: contiguous); all give the same bits').choices(
        KV_KINDS,
      ),
    ),
  ).option('--prefill-chunk <n>', 'tokens per run while a prompt is read (default: 128)', parseCount);
}

/** Those that forms made of pages have. */
export function addPageOptions(command: Command): Command {
  return command
    .option('--page-size <n>', 'positions of a page of the KV cache, a multiple of 16 (default: 16)', parseCount)
    .option('--kv-budget <n>', 'positions that all sequences may hold together, in pages', parseCount);
}

/** The flags as load options. A page size without a form of pages is left to the check, which says what to do. */
export function kvOptionsOf(flags: KvFlags): Pick<LoadOptions, 'kv' | 'prefillChunk'> {
  const { kv, pageSize, kvBudget, prefillChunk } = flags;
  const isSaid = kv !== undefined || pageSize !== undefined || kvBudget !== undefined;
  const options = { kind: kv ?? 'contiguous', pageSize, budget: kvBudget } as KvOptions;
  return { ...(isSaid && { kv: options }), ...(prefillChunk !== undefined && { prefillChunk }) };
}

import { expect, test } from 'vitest';
import { kvOptionsOf } from '../../src/cli/kv_options.ts';
import { checkKvOptions, KV_KINDS } from '../../src/kvcache/options.ts';
import { runCli } from './fake_io.ts';
import { combinations } from './kv_combinations.ts';

/** The table of forms and losses in docs/kvcache.md is what the command line does; kv_combinations.long.test.ts runs every cell. */

const ALL = combinations();

test('the table has every form, and cells of both kinds', () => {
  expect(ALL.length).toBeGreaterThan(80);
  expect([...new Set(ALL.map(({ kind }) => kind))].sort()).toEqual([...KV_KINDS, 'evict', 'lossy', null].sort());
});

test('what the table refuses is refused, without a model, and says what to do', async () => {
  for (const { flags, kind } of ALL) {
    if (kind !== null) continue;
    const { exitCode, stdout, stderr } = await runCli(['generate', '--model', 'no-such-model.gguf', ...flags]);
    expect({ exitCode, stdout }, flags.join(' ')).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr, flags.join(' ')).toMatch(/leave (it|one of them) out|leave out |use --kv paged/);
  }
});

test('what the table runs gets past the flags', async () => {
  for (const { flags, kind } of ALL) {
    if (kind === null) continue;
    const { exitCode, stderr } = await runCli(['logits', '--model', 'no-such-model.gguf', ...flags]);
    expect(exitCode, flags.join(' ')).toBe(1);
    expect(stderr).toContain('no-such-model.gguf');
  }
});

test('losses alone, and a budget alone, choose their form', () => {
  const kindOf = (flags: Parameters<typeof kvOptionsOf>[0]) => {
    const { kv } = kvOptionsOf(flags);
    checkKvOptions(kv!);
    return kv!.kind;
  };
  expect(kindOf({ window: 9 })).toBe('lossy');
  expect(kindOf({ window: 9, kvBudget: 64 })).toBe('paged');
  expect(kindOf({ kvBudget: 64, kvEvict: 'importance' })).toBe('evict');
  expect(kindOf({ kv: 'contiguous', kvType: 'q8_0' })).toBe('lossy');
});

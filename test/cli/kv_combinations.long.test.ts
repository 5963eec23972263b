import { describe, expect, test } from 'vitest';
import type { KvStats } from '../../src/kvcache/cache.ts';
import { runJson } from './fake_io.ts';
import { combinations } from './kv_combinations.ts';

/** Every cell of the table in docs/kvcache.md that runs, on the embedded model: the form that it names, and the same text in all forms. */

const IDS = Array.from({ length: 30 }, (_, t) => 16 + ((t * 37) % 1000)).join(',');
const isForm = (flag: string, i: number, flags: readonly string[]) => flag === '--kv' || flags[i - 1] === '--kv';
const isPage = (flag: string, i: number, flags: readonly string[]) =>
  flag === '--page-size' || flags[i - 1] === '--page-size';

const running = combinations().filter(({ kind }) => kind !== null);
const lossesOf = (flags: readonly string[]): string => {
  const rest = flags.filter((...at) => !isForm(...at) && !isPage(...at)).join(' ');
  // A budget that covers the text changes no number; with a rule of eviction it is one.
  return rest.includes('--kv-evict') ? rest : rest.replace(/ ?--kv-budget \d+/, '').trim();
};

describe('every cell', () => {
  const texts = new Map<string, number[]>();
  test.each(running)('$flags: $kind', async ({ flags, kind }) => {
    const { ids } = await runJson<{ ids: number[] }>([
      'generate',
      '--ids',
      IDS,
      '--seed',
      '5',
      '--max-tokens',
      '20',
      ...flags,
    ]);
    const same = texts.get(lossesOf(flags)) ?? ids;
    texts.set(lossesOf(flags), same);
    expect(ids).toEqual(same);
    if (flags.length === 0 || !flags.some((flag) => flag.startsWith('--kv') || flag.startsWith('--window'))) return;
    // A cache in which three sequences have room.
    const roomy = flags.map((flag) => (flag === '96' ? '192' : flag));
    const form = flags.includes('--kv') ? roomy : ['--kv', ...roomy];
    const { kv } = await runJson<{ kv: KvStats }>(['inspect', '--ids', IDS, ...form]);
    // A bare --kv of inspect, with nothing that asks for a form, shows pages.
    expect(kv.kind).toBe(kind === 'contiguous' && !flags.includes('--kv') ? 'paged' : kind);
  });

  test('losses give other texts than none, and than each other', () => {
    expect(texts.size).toBeGreaterThan(6);
    expect(new Set([...texts.values()].map(String)).size).toBeGreaterThan(4);
  });
});

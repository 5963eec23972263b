import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunksDoNotMatter, compareTiers, FORMS, isSmall } from '../support/equal_bits.ts';
import { executorOf, F32_TIERS } from '../support/executors.ts';
import { TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

/** Tokens of one chunked sequence: up to twice those of the short tests, whose properties these are, in many times the cases. */
const MAX_TOKENS = 90;

describe.each(FORMS)('%s weights, %s activations', (dtype, form) => {
  test('wasm has the bits of naive in every value of any geometry, in any chunks', async () => {
    const numRuns = isSmall([dtype, form]) ? 90 : 20;
    expect(await compareTiers(dtype, form, { numRuns, maxTokens: 33 })).toBeGreaterThan(10 * numRuns);
  });
});

describe.each(FORMS.filter(isSmall))('%s weights, %s activations', (dtype, form) => {
  test.each(F32_TIERS)('%s: any chunking has the bits of one token at a time', async (tier) => {
    const executor = await executorOf(tier, tinyLlama({ seed: 8, dtype }), form);
    const ids = fc.array(fc.nat(TINY_CONFIG.vocab - 1), { minLength: 1, maxLength: MAX_TOKENS });
    fc.assert(chunksDoNotMatter(executor, ids), { numRuns: tier === 'naive' ? 20 : 300 });
    executor.dispose();
  });
});

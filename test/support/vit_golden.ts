import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { loadImageClassifier } from '../../src/engine/image_classifier.ts';
import type { Tier } from '../../src/exec/executor.ts';
import { openNodeFolder } from '../../src/platform/node.ts';
import { HOST } from './executors.ts';

interface Golden {
  readonly photos: readonly Entry[];
  readonly synthetic: readonly Entry[];
  readonly cifar?: readonly Entry[];
}

interface Entry {
  readonly name: string;
  readonly pixels: readonly number[];
  readonly logits: readonly number[];
}

/** |logit - golden|: naive64 computes what the golden numbers were computed with, the f32 tiers round. */
const GOLDEN_DISTANCE: Readonly<Record<Tier, number>> = { naive64: 1e-9, naive: 1e-4, wasm: 1e-4 };

/** The model in `folder` gives the logits of its golden.json for the first `most` of the nEntries pictures of 32 x 32 there. */
export async function expectGolden(folder: string, nEntries: number, executor: Tier, most = nEntries): Promise<void> {
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden;
  const entries = [...golden.synthetic, ...golden.photos, ...(golden.cifar ?? [])];
  expect(entries.length).toBe(nEntries);
  await using model = await loadImageClassifier({ kind: 'folder', folder: openNodeFolder(folder) }, HOST, { executor });
  for (const { name, pixels, logits } of entries.slice(0, most)) {
    const got = model.logits({ width: 32, height: 32, pixels: Uint8Array.from(pixels) });
    expect(got.length).toBe(logits.length);
    got.forEach((v, i) => {
      expect(Math.abs(v - logits[i]!), `${name}, class ${i}`).toBeLessThanOrEqual(GOLDEN_DISTANCE[executor]);
    });
  }
}

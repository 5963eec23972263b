import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { type SafetensorsTensor, writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { EMBEDDED_MODEL } from '../text/vocabularies.ts';
import { comesBack, ggufContents } from './gguf_contents.ts';
import { everyDamage, openAnything } from './sources.ts';

/** Any damage gives a typed error or a model inside its file: what the short tests ask of small files, of real ones. */

describe('the header of the embedded model', () => {
  const file = new Uint8Array(readFileSync(EMBEDDED_MODEL));
  let nBytes: number; // up to the first tensor
  beforeAll(async () => {
    const { tensors } = await openGguf(bufferSource(EMBEDDED_MODEL, file));
    nBytes = Math.min(...Array.from(tensors.values(), (t) => t.offset));
  });

  test('bits and cuts all over it', async () => {
    let refused = 0;
    const step = 11; // odd, so that all eight bits of a byte are met; all of them would take minutes
    await everyDamage(
      file,
      async (damaged) => {
        if ((await openAnything(openGguf, damaged)) !== null) refused++;
      },
      { nBytes, step },
    );
    expect(refused).toBeGreaterThanOrEqual(Math.floor(nBytes / step)); // each cut, at least
  });

  test('several numbers overwritten at once', async () => {
    const hard = fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 61n + 1n, 2n ** 63n, 2n ** 64n - 1n);
    // The offsets are taken modulo the header: its length is not known yet where the property is made.
    const overwrites = fc.array(fc.tuple(fc.nat(), hard, fc.constantFrom(1, 4, 8)), { minLength: 1, maxLength: 6 });
    const damaged = file.slice();
    await fc.assert(
      fc.asyncProperty(overwrites, async (changes) => {
        for (const [raw, n, width] of changes) {
          const number = new Uint8Array(BigUint64Array.of(n).buffer, 0, width);
          damaged.set(number, raw % (nBytes - width));
        }
        try {
          await openAnything(openGguf, damaged);
        } finally {
          damaged.set(file.subarray(0, nBytes));
        }
      }),
      { numRuns: 10_000 },
    );
  });
});

test('GGUF: files of any content come back, and each is refused or read in full when it is damaged', async () => {
  await fc.assert(
    fc.asyncProperty(ggufContents, fc.nat(), async (content, raw) => {
      const file = writeGguf(content);
      await comesBack(content, file);
      // About twelve damaged files of each; the steps differ, so that the places do.
      const step = Math.ceil((file.length * 8) / 12) + (raw % 8);
      await everyDamage(file, async (damaged) => void (await openAnything(openGguf, damaged)), {
        nBytes: file.length,
        step,
      });
    }),
    { numRuns: 3000 },
  );
});

test('safetensors: every bit flip and every cut of a file of sixty tensors', async () => {
  const tensors = Array.from({ length: 60 }, (_, i): SafetensorsTensor => {
    const shape = [1 + (i % 3), i % 5];
    const data = new Float32Array((1 + (i % 3)) * (i % 5)).fill(i);
    return { name: `model.layers.${i}.weight`, dtype: 'F32', shape, data };
  });
  const bytes = writeSafetensors(tensors, { format: 'pt', é: '漢' });
  let refused = 0;
  await everyDamage(bytes, async (damaged) => {
    if ((await openAnything(openSafetensors, damaged)) !== null) refused++;
  });
  expect(refused).toBeGreaterThanOrEqual(bytes.length); // each cut, at least
});

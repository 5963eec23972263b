import { expect, test } from 'vitest';
import { CapacityError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { decodeWithSharp, type SharpModule } from '../../src/platform/sharp.ts';

/** The package is not installed here: what is tested is our side of it. */

interface Answer {
  readonly data: Uint8Array;
  readonly channels: number;
  readonly width: number;
}

function fake({ data, channels, width }: Answer): () => Promise<SharpModule> {
  const picture = {
    metadata: async () => ({ width, height: 1, orientation: 6 }),
    toColourspace: () => picture,
    removeAlpha: () => picture,
    raw: () => picture,
    toBuffer: async () => ({ data, info: { width, height: 1, channels } }),
  };
  return async () => ({ default: () => picture });
}

const bytes = Uint8Array.of(1, 2, 3);

test('where sharp is not installed the error names it, and what to do', async () => {
  await expect(decodeWithSharp(bytes, 'webp', 'a.webp', 100)).rejects.toThrow(UnsupportedError);
  await expect(decodeWithSharp(bytes, 'webp', 'a.webp', 100)).rejects.toThrow(
    /a\.webp: is a webp picture.*npm install sharp/,
  );
});

test('colour comes as it is, grey is repeated', async () => {
  const colour = fake({ data: Uint8Array.of(1, 2, 3, 4, 5, 6), channels: 3, width: 2 });
  const image = { width: 2, height: 1, orientation: 6 };
  expect(await decodeWithSharp(bytes, 'gif', 'a.gif', 2, colour)).toMatchObject({
    ...image,
    pixels: Uint8Array.of(1, 2, 3, 4, 5, 6),
  });
  const grey = fake({ data: Uint8Array.of(7, 8), channels: 1, width: 2 });
  expect(await decodeWithSharp(bytes, 'gif', 'a.gif', 2, grey)).toMatchObject({
    ...image,
    pixels: Uint8Array.of(7, 7, 7, 8, 8, 8),
  });
});

test('a picture above the limit is refused, and so is an answer that does not fit its size', async () => {
  const colour = { data: new Uint8Array(6), channels: 3, width: 2 };
  await expect(decodeWithSharp(bytes, 'gif', 'a.gif', 1, fake(colour))).rejects.toThrow(CapacityError);
  await expect(decodeWithSharp(bytes, 'gif', 'a.gif', 9, fake({ ...colour, width: 3 }))).rejects.toThrow(FormatError);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { CapacityError, FormatError, isGlassformerError, UnsupportedError } from '../../src/core/errors.ts';
import { decodeImage } from '../../src/vision/decode.ts';
import { ROOT } from '../support/fixtures.ts';

interface Case {
  readonly name: string;
  readonly file: string;
}

function fileOf(list: string, name: string): Uint8Array {
  const cases = JSON.parse(readFileSync(join(ROOT, 'test/goldens/vision', list), 'utf8')) as Case[];
  return new Uint8Array(Buffer.from(cases.find((c) => c.name === name)!.file, 'base64'));
}

const png = fileOf('png.json', 'palette 4 interlaced');
const baseline = fileOf('jpeg.json', 'baseline 2x2');
const progressive = fileOf('jpeg.json', 'progressive 2x2');

/** Where two bytes follow each other first. */
function find(bytes: Uint8Array, a: number, b: number): number {
  return bytes.findIndex((byte, i) => byte === a && bytes[i + 1] === b);
}

async function failure(bytes: Uint8Array): Promise<unknown> {
  try {
    await decodeImage(bytes, 'picture');
    return null;
  } catch (e) {
    return e;
  }
}

test.each([
  ['PNG', png, png.length - 1],
  // A sequential JPEG may lack its end marker.
  ['baseline JPEG', baseline, baseline.length - 2],
  ['progressive JPEG', progressive, progressive.length - 1],
] as const)('a %s cut short at any byte is refused', async (_title, bytes, end) => {
  for (let length = 0; length < end; length++) {
    expect(await failure(bytes.subarray(0, length)), `${length} bytes`).toBeInstanceOf(FormatError);
  }
});

test.each([
  ['PNG', png],
  ['baseline JPEG', baseline],
  ['progressive JPEG', progressive],
] as const)('a %s with any byte changed is decoded or refused with a typed error', async (_title, bytes) => {
  let nRefused = 0;
  for (let i = 0; i < bytes.length; i++) {
    for (const flip of [i % 2 === 0 ? 0xff : 0x40 >> (i % 7)]) {
      const damaged = bytes.slice();
      damaged[i]! ^= flip;
      const error = await failure(damaged);
      if (error === null) continue;
      nRefused++;
      expect(isGlassformerError(error), `byte ${i} ^ ${flip}: ${error}`).toBe(true);
    }
  }
  expect(nRefused).toBeGreaterThan(bytes.length / 4);
});

test('a header that promises more than the file can hold is refused before pixels are allocated', async () => {
  const large = png.slice();
  // 30,000 x 2,000: below the limit of pixels, far beyond a file of this size. The check sum is made to fit.
  const view = new DataView(large.buffer);
  view.setUint32(16, 30_000);
  view.setUint32(20, 2_000);
  view.setUint32(29, crc(large.subarray(12, 29)));
  expect(String(await failure(large))).toMatch(/30000 x 2000 pixels take .* bytes of data unpack to/);

  const jpeg = baseline.slice();
  const sof = find(jpeg, 0xff, 0xc0);
  new DataView(jpeg.buffer).setUint32(sof + 5, (2_000 << 16) | 30_000);
  expect(String(await failure(jpeg))).toMatch(/30000 x 2000 pixels are \d+ blocks, its \d+ bytes cannot hold them/);
});

test('more pixels than the limit are refused by both decoders', async () => {
  await expect(decodeImage(png, 'picture', { maxPixels: 246 })).rejects.toThrow(CapacityError);
  await expect(decodeImage(baseline, 'picture', { maxPixels: 850 })).rejects.toThrow(CapacityError);
  await expect(decodeImage(png, 'picture', { maxPixels: 247 })).resolves.toMatchObject({ width: 19, height: 13 });
  await expect(decodeImage(baseline, 'picture', { maxPixels: 851 })).resolves.toMatchObject({ width: 37, height: 23 });
});

test('compressed data that unpacks to more than the size says is not unpacked', async () => {
  const rows = new Uint8Array(1 << 24);
  const error = await failure(greyPng(8, 8, deflateSync(rows)));
  expect(String(error)).toContain('unpacks to more than the 72 bytes');
  expect(await failure(greyPng(8, 8, deflateSync(rows.subarray(0, 72))))).toBeNull();
  expect(String(await failure(greyPng(8, 8, deflateSync(rows.subarray(0, 71)))))).toContain('unpacks to 71 bytes');
});

test('a JPEG of thousands of scans is refused after a hundred', async () => {
  const sos = find(progressive, 0xff, 0xda);
  const end = find(progressive.subarray(sos + 2), 0xff, 0xc4) + sos + 2;
  const scan = progressive.subarray(sos, end);
  const parts = [progressive.subarray(0, sos), ...new Array<Uint8Array>(101).fill(scan), Uint8Array.of(0xff, 0xd9)];
  await expect(decodeImage(new Uint8Array(Buffer.concat(parts)), 'picture')).rejects.toThrow(/more than 100 scans/);
});

test.each([
  ['lossless', 0xc3],
  ['arithmetic', 0xc9],
  ['hierarchical', 0xc5],
] as const)('a %s JPEG is refused by name', async (_title, marker) => {
  const bytes = baseline.slice();
  bytes[find(bytes, 0xff, 0xc0) + 1] = marker;
  expect(await failure(bytes)).toBeInstanceOf(UnsupportedError);
});

test.each([
  ['webp', 'RIFF\0\0\0\0WEBP'],
  ['gif', 'GIF89a'],
  ['avif', '\0\0\0\x20ftypavif'],
  ['heif', '\0\0\0\x20ftypheic'],
  ['tiff', 'II*\0'],
  ['bmp', 'BM'],
])('a %s file is named, and handed on where something can decode it', async (format, head) => {
  const bytes = Buffer.from(head, 'latin1');
  await expect(decodeImage(bytes, 'picture')).rejects.toThrow(`picture: is a ${format} picture`);
  const image = { width: 1, height: 1, pixels: Uint8Array.of(1, 2, 3), orientation: 1 as const };
  const other = async (_bytes: Uint8Array, got: string) => {
    expect(got).toBe(format);
    return image;
  };
  expect(await decodeImage(bytes, 'picture', { other })).toBe(image);
});

test('what is no picture is refused', async () => {
  expect(await failure(new TextEncoder().encode('# a text'))).toBeInstanceOf(FormatError);
  expect(await failure(new Uint8Array(0))).toBeInstanceOf(FormatError);
});

/** An 8-bit grey PNG with this compressed data. */
function greyPng(width: number, height: number, data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Uint8Array(
    Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]),
  );
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, sum]);
}

/** ISO 15948, annex D, bit by bit. */
function crc(data: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of data) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}

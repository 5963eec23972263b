import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import { nodeScratchFiles } from '../../src/platform/node_scratch.ts';

const folder = mkdtempSync(join(tmpdir(), 'glassformer-scratch-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a file is written and read at any place, and nothing is left of it', () => {
  const file = nodeScratchFiles(folder).create();
  file.write(100, Uint8Array.of(1, 2, 3));
  file.write(0, Uint8Array.of(9));
  const into = new Uint8Array(3);
  file.read(100, into);
  expect([...into]).toEqual([1, 2, 3]);
  file.read(0, into);
  expect([...into]).toEqual([9, 0, 0]);
  expect(() => file.read(101, into)).toThrow(FormatError);
  file.close();
  file.close();
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that is not there says what to do', () => {
  const create = () => nodeScratchFiles(join(folder, 'nowhere')).create();
  expect(create).toThrow(ConfigError);
  expect(create).toThrow('set TMPDIR to a folder that can be written');
});

test('a file that is closed is refused by the system, as an error of ours', () => {
  const file = nodeScratchFiles(folder).create();
  file.close();
  expect(() => file.write(0, Uint8Array.of(1))).toThrow(ConfigError);
});

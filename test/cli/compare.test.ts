import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BitReport, DistanceReport } from '../../src/exec/compare.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

interface Json extends Omit<BitReport, 'differences'> {
  a: Record<string, string>;
  b: Record<string, string>;
  equal: boolean | null;
  nDifferent: number;
  first: BitReport['differences'][number] | null;
}

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: string;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await folder.put('tiny.gguf', writeGguf(await tinyContent()));
});
afterAll(() => folder.remove());

const on = (...flags: string[]) => ['compare', '--model', tiny, ...flags];

describe('executors of equal bits', () => {
  test('naive and wasm, with passes and without', async () => {
    const { exitCode, stdout } = await runCli(on('--ids', '0,305,318'));
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^equal bits, \d+ tensors\nin a only, .*: \d+ values .*\nin b only, .*: \d+ values .*\n$/);

    const same = await runJson<Json>(on('--same-graph', '--steps', '2', 'One day'));
    expect(same).toMatchObject({ equal: true, nDifferent: 0, first: null, onlyInA: [], onlyInB: [] });
    expect(same.a).toMatchObject({ executor: 'naive', activations: 'q8' });
    expect(same.b['kernels']).toMatch(/^wasm /);
    const fewer = await runJson<Json>(on('--same-graph', '--steps', '0', 'One day'));
    expect(same.nTensors).toBe(3 * fewer.nTensors);
  });

  test('each kernel build with the other', async () => {
    const flags = on('--a', 'wasm', '--kernels-a', 'simd', '--b', 'wasm', '--kernels-b', 'relaxed', '--ids', '0,5,9');
    const json = await runJson<Json>(flags);
    expect(json.equal).toBe(true);
    expect(json.a['kernels']).not.toBe(json.b['kernels']);
  });

  test('naive64 with itself', async () => {
    const json = await runJson<Json>(on('--a', 'naive64', '--b', 'naive64', '--ids', '0,5'));
    expect(json.equal).toBe(true);
  });
});

describe('executors that differ', () => {
  const flags = () => on('--same-graph', '--activations-a', 'f32', '--steps', '1', '--ids', '0,305,318');

  test('the first value that differs is named; exit code 1', async () => {
    const { exitCode, stdout, stderr } = await runCli([...flags(), '--json']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' });
    const json = JSON.parse(stdout) as Json;
    expect(json).toMatchObject({ equal: false, a: { activations: 'f32' }, b: { activations: 'q8' } });
    // Quantized activations enter at the first matrix; embedding and norm before it are the same.
    expect(json.first).toMatchObject({ run: 0, name: 'blk.0.attn_q', op: 'linear', shapeA: [3, 32], shapeB: [3, 32] });
    expect(json.nDifferent).toBeGreaterThan(1);
    const { elements } = json.first!;
    expect(elements!.aBits).toMatch(/^0x[0-9a-f]{8}$/);
    expect(elements!.aBits).not.toBe(elements!.bBits);
    expect(elements!.maxAbs).toBeGreaterThan(0);
  });

  test('for people too', async () => {
    const { exitCode, stdout, stderr } = await runCli(flags());
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' });
    expect(stdout).toMatch(
      /^first difference: blk\.0\.attn_q \(linear\), the prompt\n {2}shape +\[3, 32\]\n {2}first at/,
    );
    expect(stdout).toMatch(/\n\d+ of \d+ tensors differ\n$/);
  });
});

describe('naive64 on one side', () => {
  test('gives distances and no verdict, whichever side it is', async () => {
    const flags = ['--activations', 'f32', '--steps', '1', '--ids', '0,305'];
    const right = await runJson<Json & DistanceReport>(on('--a', 'wasm', '--b', 'naive64', ...flags));
    expect(right.equal).toBeNull();
    expect(right.distances).toHaveLength(right.nTensors);
    for (const { maxAbs, maxRelative } of right.distances) {
      expect(Number.isFinite(maxAbs) && Number.isFinite(maxRelative)).toBe(true);
    }
    expect(right.distances.find(({ name }) => name === 'embedding')!.maxAbs).toBe(0);
    expect(right.distances.at(-1)!.maxAbs).toBeGreaterThan(0);
    const left = await runJson<Json & DistanceReport>(on('--a', 'naive64', '--b', 'wasm', ...flags));
    const named = ({ distances }: DistanceReport) =>
      distances.map((d) => `${d.run} ${d.name} ${d.maxAbs} ${d.maxRelative}`).toSorted();
    expect(named(left)).toEqual(named(right));
    const people = await runCli(on('--a', 'naive', '--b', 'naive64', ...flags));
    expect(people.exitCode).toBe(0);
    expect(people.stdout).toMatch(/^distance from naive64, \d+ tensors\nrun +tensor +op +max abs +max relative\n/);
  });
});

test('Ctrl-C between two runs', async () => {
  let nInterrupted = 0;
  for (let check = 1; ; check += 3) {
    const { exitCode, stdout } = await runCli(on('--steps', '2', '--ids', '0,5'), { interruptAtCheck: check });
    if (exitCode === 0) break;
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
    nInterrupted++;
  }
  expect(nInterrupted).toBeGreaterThan(2);
});

test('a prompt and steps that do not fit', async () => {
  const { exitCode, stderr } = await runCli(on('--max-seq', '4', '--steps', '4', '--ids', '0,1,2'));
  expect(exitCode).toBe(1);
  expect(stderr).toContain('maxSeq=4');
});

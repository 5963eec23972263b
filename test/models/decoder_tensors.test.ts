import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import type { RandomArchitecture } from '../../src/load/random/parts.ts';
import { RANDOM_ARCHITECTURES } from '../../src/load/random_architectures.ts';
import { ARCHITECTURES, describeGguf } from '../../src/models/architectures.ts';
import { ALL_ARCHITECTURES, fileOfCase } from '../support/architecture_cases.ts';

/** Every decoder names the tensor of a file that is missing, of another shape, or one too many. */

/** One end of a tied model serves both. */
const TIED = ['token_embd.weight', 'output.weight'];

test('every architecture that random models can be written of is one that can be run', () => {
  const known = ARCHITECTURES.flatMap((entry) => entry.ggufNames);
  for (const name of ALL_ARCHITECTURES) {
    const { ggufName = name }: RandomArchitecture = RANDOM_ARCHITECTURES[name];
    expect(known).toContain(ggufName);
  }
  expect(new Set(known).size, 'no name twice').toBe(known.length);
});

describe.each(ALL_ARCHITECTURES)('%s', async (architecture) => {
  const bytes = fileOfCase({ architecture, layout: 'own kv heads', format: 'f32', seed: 1 });
  const file = await openGguf(bufferSource('random.gguf', bytes));
  const refusal = async (tensors: ReadonlyMap<string, TensorInfo>): Promise<string> => {
    try {
      (await describeGguf({ ...file, tensors })).buildGraph('f32');
    } catch (error) {
      return String(error);
    }
    return 'taken';
  };
  const needed = [...file.tensors].filter(([name]) => !TIED.includes(name) && !name.startsWith('blk.1.'));

  test('the whole file is taken', async () => expect(await refusal(file.tensors)).toBe('taken'));

  test('a tensor that is missing', async () => {
    for (const [name] of needed) {
      const rest = new Map([...file.tensors].filter(([other]) => other !== name));
      expect(await refusal(rest)).toMatch(new RegExp(`^(ShapeError|ConfigError): .*${name}.* is missing`));
    }
  });

  test('a tensor of another shape', async () => {
    for (const [name, info] of needed) {
      const half = [...info.shape.slice(0, -1), info.shape.at(-1)! / 2];
      const changed = new Map(file.tensors).set(name, { ...info, shape: half, nBytes: info.nBytes / 2 });
      // Small tensors that belong to the config are counted there.
      expect(await refusal(changed)).toMatch(new RegExp(`^(ShapeError: .*${name} is|ConfigError: .* factors is)`));
    }
  });

  test('a tensor that has no place', async () => {
    const one = file.tensors.get('output_norm.weight')!;
    for (const name of ['blk.0.attn_q.scale', 'blk.99.attn_norm.weight', 'output.bias']) {
      expect(await refusal(new Map(file.tensors).set(name, { ...one, name }))).toMatch(
        `UnsupportedError: tensor ${name} has no place`,
      );
    }
  });
});

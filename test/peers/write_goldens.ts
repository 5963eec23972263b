import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALL_ARCHITECTURES, type LayoutName } from '../support/architecture_cases.ts';
import { type ArchitectureGolden, goldenPath } from '../support/architecture_goldens.ts';
import { createWitness } from './model_files.ts';

/**
 * Writes test/goldens/models: llama.cpp's logits of small random f32 models, so that `npm test` checks every architecture
 * without it.    npm run goldens [architecture ...]
 */

const LAYOUTS: readonly LayoutName[] = ['grouped', 'one kv head'];
const SEED = 1;

const names = process.argv.slice(2);
const unknown = names.find((name) => !ALL_ARCHITECTURES.some((known) => known === name));
if (unknown !== undefined) throw new Error(`goldens: no architecture "${unknown}"; known are ${ALL_ARCHITECTURES}`);
const folder = mkdtempSync(join(tmpdir(), 'glassformer-goldens-'));
const witness = createWitness(folder);
try {
  for (const architecture of ALL_ARCHITECTURES) {
    if (names.length > 0 && !names.includes(architecture)) continue;
    const models = [];
    for (const layout of LAYOUTS) {
      const logits = await witness.logits({ architecture, layout, format: 'f32', seed: SEED });
      models.push({ layout, seed: SEED, logits });
    }
    const golden: ArchitectureGolden = { architecture, engine: witness.version, models };
    const path = goldenPath(architecture);
    writeFileSync(`${path}.part`, `${JSON.stringify(golden)}\n`);
    renameSync(`${path}.part`, path);
    process.stderr.write(`goldens: ${path}\n`);
  }
} finally {
  await witness.close();
  rmSync(folder, { recursive: true, force: true });
}

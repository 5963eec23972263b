import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import type { LayoutName } from './architecture_cases.ts';

/** What another engine computed for small random models: test/peers/write_goldens.ts makes it. */
export interface ArchitectureGolden {
  readonly architecture: RandomArchitectureName;
  /** The engine and its version. */
  readonly engine: string;
  readonly models: readonly GoldenModel[];
}

/** An f32 file: layout and seed make it again. */
export interface GoldenModel {
  readonly layout: LayoutName;
  readonly seed: number;
  /** After each of PROMPTS, in f32. */
  readonly logits: readonly (readonly number[])[];
}

/** Models whose GELU the other engine looks up in a table of f16, and the share of the spread that this may cost. */
const LOOKS_UP_GELU: readonly string[] = [
  'gpt2',
  'gptneox',
  'falcon',
  'xlm-roberta',
  'gemma',
  'gemma2',
  'gemma3',
  'bert',
  'modern-bert',
];
/** Of a peer that computes everything in f32, and of our own f32 tiers. */
export const EXACT_SHARE = 1e-4;
const LOOKED_UP_SHARE = 1e-2;

/** The largest distance from the float64 truth, as a share of the spread of the logits, at which a peer is a witness. */
export function mostShareOf(architecture: string): number {
  return LOOKS_UP_GELU.includes(architecture) ? LOOKED_UP_SHARE : EXACT_SHARE;
}

const FOLDER = fileURLToPath(new URL('../goldens/models', import.meta.url));

export function goldenPath(architecture: string): string {
  return join(FOLDER, `${architecture}.json`);
}

export function readGoldens(): ArchitectureGolden[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as ArchitectureGolden);
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ArchitectureCase, fileOfCase, PROMPTS } from '../support/architecture_cases.ts';
import { type EngineProcess, startEngine } from './engine_process.ts';

/** llama.cpp, opening one small model after the other. */
export interface Witness {
  readonly version: string;
  /** Its logits after each of PROMPTS. */
  logits(one: ArchitectureCase): Promise<(readonly number[])[]>;
  close(): Promise<void>;
}

const MAX_SEQ = 128;

/** folder: where files may be written; the caller removes it. */
export function createWitness(folder: string): Witness {
  let engine: EngineProcess | undefined;
  return {
    get version() {
      if (engine === undefined) throw new Error('no model has been opened yet');
      return engine.version;
    },
    async logits(one) {
      const model = join(folder, `${Object.values(one).join('-').replaceAll(' ', '_')}.gguf`);
      writeFileSync(model, fileOfCase(one));
      const options = { model, threads: 1, maxSeq: MAX_SEQ };
      if (engine === undefined) engine = await startEngine('llama_cpp', options);
      else await engine.open(options);
      const rows: (readonly number[])[] = [];
      for (const ids of PROMPTS) rows.push(await engine.logits(ids));
      return rows;
    },
    async close() {
      await engine?.close();
    },
  };
}

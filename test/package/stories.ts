import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GOLDEN } from '../hosts/runtimes.ts';
import { type Installed, output } from './installed.ts';

const nTokens = String(GOLDEN.greedy_ids.length);
export const goldenCommand = [
  'generate',
  GOLDEN.prompt,
  '--temperature',
  '0',
  '--activations',
  'f32',
  '--json',
  '--max-tokens',
  nTokens,
];

export const programOf = ({ app }: Installed): string => join(app, 'node_modules', '.bin', 'glassformer');

/** The installed package tells the golden story, as a library and as a program. */
export function testStories(get: () => Installed): void {
  test('the library gives the golden ids and text of the embedded model', async () => {
    const installed = get();
    const program = join(installed.app, 'library.js');
    writeFileSync(
      program,
      `import { loadModel } from 'glassformer';
     const { ids, maxTokens } = JSON.parse(process.argv[2]);
     const model = await loadModel('embedded', { activations: 'f32' });
     const pieces = [];
     for await (const piece of model.generate({ ids }, { maxTokens, temperature: 0 })) pieces.push(piece);
     await model.dispose();
     process.stdout.write(JSON.stringify({ ids: pieces.map((p) => p.id), text: pieces.map((p) => p.text).join('') }));`,
    );
    const request = { ids: GOLDEN.prompt_ids, maxTokens: GOLDEN.greedy_ids.length };
    const answer = JSON.parse(await output(process.execPath, [program, JSON.stringify(request)], installed.app));
    expect(answer).toEqual({ ids: GOLDEN.greedy_ids, text: GOLDEN.greedy_text });
  });

  test('the program gives the golden text of the embedded model', async () => {
    const answer = JSON.parse(await output(programOf(get()), goldenCommand, get().app)) as {
      ids: number[];
      text: string;
    };
    expect({ ids: answer.ids, text: answer.text }).toEqual({ ids: GOLDEN.greedy_ids, text: GOLDEN.greedy_text });
  });
}

import { exp } from '../../src/core/math.ts';
import { createRng } from '../../src/core/rng.ts';
import { loadModel } from '../../src/index.node.ts';
import { DEFAULT_SAMPLING } from '../../src/sample/options.ts';
import { sampleToken } from '../../src/sample/sampler.ts';
import { renderChat } from '../../src/text/chat_template.ts';
import { createStreamDecoder } from '../../src/text/stream_decoder.ts';
import { fixed, table, visible } from './number_text.ts';
import { fence } from './source_quote.ts';
import { TOUR_PROMPT, type Walk } from './tour_start.ts';

/** A template as instruct models carry them (the form is ChatML). */
const TEMPLATE =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
const SEEDS = [0, 1, 2, 3, 4];
const TEMPERATURES = [0, DEFAULT_SAMPLING.temperature, 2];
const STREAM_TOKENS = 10;
/** Two bytes in UTF-8, and no piece of its own in the embedded vocabulary. */
const ACCENTED = 'café';

/** Rooms 2, 3, 4 and the decoder of room 9. */
export function textRegions({ opened, ids, at }: Walk): [string, string][] {
  const { tokenizer } = opened;
  const rendered = renderChat(TEMPLATE, [{ role: 'user', content: 'Tell me a story.' }]);
  const decoder = createStreamDecoder(tokenizer);
  const accented = tokenizer.encode(ACCENTED, { addSpecial: false });
  const steps = accented.map((id) => {
    const text = decoder.push(id);
    return [id, visible(tokenizer.piece(id)), visible(text)];
  });
  return [
    [
      'chat',
      fence('text', ['template', ...TEMPLATE.split('\n').map((l) => `  ${l}`), '', 'prompt', ...indent(rendered)]),
    ],
    [
      'tokens',
      table(
        ['position', 'id', 'piece'],
        ids.map((id, p) => [p, id, visible(tokenizer.piece(id))]),
      ),
    ],
    [
      'batch',
      fence('text', [
        `ids        [${ids.join(', ')}]`,
        `positions  [${ids.map((_, p) => p).join(', ')}]`,
        `segments   [{ sequence: 0, from: 0, count: ${ids.length} }]`,
        `outRows    [${at}]`,
      ]),
    ],
    ['bytes', table(['id', 'piece', 'text given out'], steps)],
  ];
}

function indent(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`);
}

/** Room 8, and the corridor with all rooms together. */
export async function choiceRegions({ opened, ids, run, at }: Walk): Promise<[string, string][]> {
  const { vocab, data } = run.recording.logits;
  const logits = data.slice(at * vocab, (at + 1) * vocab);
  const { tokenizer } = opened;
  const greedy = sampleToken(logits, ids, { ...DEFAULT_SAMPLING, temperature: 0 }, createRng(0), 5);
  const top = greedy.top.map(({ id, logprob }) => [
    id,
    visible(tokenizer.piece(id)),
    fixed(logits[id]!),
    fixed(logprob),
    fixed(exp(logprob)),
  ]);
  const pieceAt = (seed: number, temperature: number): string => {
    const { id } = sampleToken(logits, ids, { ...DEFAULT_SAMPLING, temperature }, createRng(seed));
    return visible(tokenizer.piece(id));
  };
  const drawn = SEEDS.map((seed) => [
    seed,
    fixed(createRng(seed).next()),
    ...TEMPERATURES.map((t) => pieceAt(seed, t)),
  ]);

  await using model = await loadModel('embedded', { executor: 'naive' });
  const streamed: (string | number)[][] = [];
  let position = ids.length;
  for await (const piece of model.generate(TOUR_PROMPT, { seed: 0, maxTokens: STREAM_TOKENS, topLogprobs: 0 })) {
    streamed.push([
      position++,
      piece.id,
      visible(tokenizer.piece(piece.id)),
      visible(piece.text),
      fixed(piece.logprob),
    ]);
  }
  return [
    ['logits', table(['id', 'piece', 'logit', 'log probability', 'probability'], top)],
    ['sample', table(['seed', 'u', ...TEMPERATURES.map((t) => `temperature ${t}`)], drawn)],
    ['stream', table(['position', 'id', 'piece', 'text given out', 'log probability'], streamed)],
  ];
}

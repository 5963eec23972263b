import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { DEFAULT_SAMPLING, type SamplingOptions, validateSampling } from '../../src/sample/options.ts';
import { NEUTRAL } from './candidate_sets.ts';

const check = (options: object): void => validateSampling({ ...DEFAULT_SAMPLING, ...options } as SamplingOptions);

describe('sampling options', () => {
  test('the defaults, the neutral values and the ends of each range are fine', () => {
    const fine: Partial<SamplingOptions>[] = [
      {},
      NEUTRAL,
      { temperature: 0, topK: 0, minP: 0, repeatLastN: 0 },
      { temperature: 1e6, topK: 2 ** 53 - 1, topP: 1, minP: 1, typicalP: 1, repeatLastN: Infinity },
      { topP: 5e-324, typicalP: 5e-324, minP: 5e-324, temperature: 5e-324, repeatPenalty: 5e-324 },
      { frequencyPenalty: -2, presencePenalty: 2 },
      { logitBias: new Map([[0, -Infinity]]), seed: 2n ** 64n - 1n },
    ];
    for (const options of fine) check(options);
  });

  const BAD: [option: keyof SamplingOptions, value: unknown, message: string][] = [
    ['topP', 7, 'top-p is 7, must lie in (0, 1]; 1 keeps every token'],
    ['topP', 0, 'top-p is 0, must lie in (0, 1]'],
    ['topP', NaN, 'top-p is NaN'],
    ['topP', '0.5', 'top-p is "0.5"'],
    ['topP', undefined, 'top-p is undefined'],
    ['typicalP', 0, 'typical-p is 0, must lie in (0, 1]'],
    ['typicalP', 1 + 2 ** -52, 'typical-p is 1.0000000000000002'],
    ['minP', -0.1, 'min-p is -0.1, must lie in [0, 1]; 0 keeps every token'],
    ['minP', 2, 'min-p is 2'],
    ['topK', -1, 'top-k is -1, must be an integer from 0; 0 keeps every token'],
    ['topK', 1.5, 'top-k is 1.5'],
    ['topK', Infinity, 'top-k is Infinity'],
    ['temperature', -1, 'temperature is -1, must lie in [0, Infinity); 0 always takes the likeliest token'],
    ['temperature', Infinity, 'temperature is Infinity'],
    ['temperature', NaN, 'temperature is NaN'],
    ['repeatPenalty', 0, 'repeat-penalty is 0, must lie in (0, Infinity); 1 turns it off'],
    ['repeatPenalty', Infinity, 'repeat-penalty is Infinity'],
    ['repeatLastN', -1, 'repeat-last-n is -1, must be an integer from 0, or Infinity'],
    ['frequencyPenalty', Infinity, 'frequency-penalty is Infinity, must be finite; 0 turns it off'],
    ['presencePenalty', NaN, 'presence-penalty is NaN, must be finite; 0 turns it off'],
    ['seed', -1, 'seed is -1, must be an integer'],
    ['seed', 0.5, 'seed is 0.5'],
    ['logitBias', new Map([[-1, 0]]), 'logit-bias names token id -1, must be an integer from 0'],
    ['logitBias', new Map([[3, NaN]]), 'logit-bias of token id 3 is NaN'],
    ['logitBias', new Map([[3, Infinity]]), 'logit-bias of token id 3 is Infinity, must be finite, or -Infinity'],
  ];

  test.each(BAD)('%s: %j is refused: %s', (option, value, message) => {
    expect(() => check({ [option]: value })).toThrow(ConfigError);
    expect(() => check({ [option]: value })).toThrow(message);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { pairEncoder, plainIds } from '../../src/text/pairs.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';

/** Letters are tokens; three more that stand around texts. */
const VOCAB = { '<s>': 0, '</s>': 1, '[X]': 2, a: 3, b: 4, c: 5, '?': 6 };
const added = ['<s>', '</s>', '[X]'].map((content, id) => ({ id, content, special: true, normalized: false }));

function filesOf(post_processor: object | null, config: object = {}, type = 'WordPiece') {
  const model =
    type === 'WordPiece'
      ? { type, vocab: VOCAB, unk_token: '?', continuing_subword_prefix: '' }
      : { type, vocab: VOCAB, merges: [] };
  const tokenizerJson = {
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: null,
    post_processor,
    decoder: null,
    model,
  };
  return { tokenizerJson, tokenizerConfig: config };
}

function encode(post_processor: object | null, config?: object, type?: string) {
  const files = filesOf(post_processor, config, type);
  const tokenizer = createTokenizer(files);
  return pairEncoder(files, tokenizer)(plainIds(tokenizer, 'ab'), plainIds(tokenizer, 'c'));
}

const BERT = { type: 'BertProcessing', sep: ['</s>', 1], cls: ['<s>', 0] };
const ROBERTA = { ...BERT, type: 'RobertaProcessing' };
const asBert = { ids: [0, 3, 4, 1, 5, 1], types: [0, 0, 0, 0, 1, 1] };
const asRoberta = { ids: [0, 3, 4, 1, 1, 5, 1], types: [0, 0, 0, 0, 0, 0, 0] };
const ENDS = { bos_token: '<s>', eos_token: '</s>', add_bos_token: true, add_eos_token: true };

const text = (id: string, type_id = 0) => ({ Sequence: { id, type_id } });
const token = (id: string, type_id = 0) => ({ SpecialToken: { id, type_id } });
const template = (pair: object[], special_tokens: object = { '[X]': { id: '[X]', ids: [2], tokens: ['[X]'] } }) => ({
  type: 'TemplateProcessing',
  single: [text('A')],
  pair,
  special_tokens,
});

describe('two texts as one sequence', () => {
  test.each([
    ['as BERT writes them', BERT, undefined, undefined, asBert],
    ['as RoBERTa writes them', ROBERTA, undefined, undefined, asRoberta],
    [
      'by a template',
      template([text('B', 1), token('[X]', 3), text('A')]),
      undefined,
      undefined,
      { ids: [5, 2, 3, 4], types: [1, 3, 0, 0] },
    ],
    [
      'behind a step that adds nothing',
      { type: 'Sequence', processors: [{ type: 'ByteLevel' }, BERT] },
      undefined,
      undefined,
      asBert,
    ],
    ['of a vocabulary alone, WordPiece', null, ENDS, undefined, asBert],
    ['of a vocabulary alone, others', null, ENDS, 'BPE', asRoberta],
  ] as const)('%s', (_what, processor, config, type, expected) => {
    expect(encode(processor, config, type)).toEqual(expected);
  });

  test.each([
    ['no ends to write', null, /no start and end token/],
    ['a step that says nothing of pairs', { type: 'ByteLevel' }, /type is "ByteLevel", which does not say what a pair/],
    ['several steps that add', { type: 'Sequence', processors: [BERT, ROBERTA] }, /several steps that add tokens/],
    ['one text only', template([text('A')]), /does not have both texts/],
    ['a third text', template([text('A'), text('B'), text('C')]), /has the text "C"/],
    ['a token that is not listed', template([text('A'), token('[X]'), text('B')], {}), /special_tokens has no "\[X\]"/],
    ['a token without ids', template([text('A'), token('[X]'), text('B')], { '[X]': { ids: ['x'] } }), /ids\[\]/],
  ] as const)('is refused where there is %s', (_what, processor, message) => {
    expect(() => encode(processor)).toThrow(message);
  });

  test('tokens that a text writes are text', () => {
    const files = filesOf(BERT);
    expect(plainIds(createTokenizer(files), '<s>')).not.toContain(0);
  });
});

describeWithFixture('vocab', 'the vocabulary of a GGUF file of BGE', () => {
  test('[CLS] a [SEP] b [SEP], with types', async () => {
    const bytes = new Uint8Array(readFileSync(fixture('vocab', 'ggml-vocab-bert-bge.gguf')));
    const files = ggufVocab((await openGguf(bufferSource('bge', bytes))).metadata);
    const tokenizer = createTokenizer(files);
    const [a, b] = [plainIds(tokenizer, 'Hello world'), plainIds(tokenizer, 'unaffable')];
    expect(pairEncoder(files, tokenizer)(a, b)).toEqual({
      ids: [101, 7592, 2088, 102, 14477, 20961, 3468, 102],
      types: [0, 0, 0, 0, 1, 1, 1, 1],
    });
  });
});

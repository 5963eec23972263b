import { ConfigError } from '../core/errors.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';
import { type Json, needId, needObject, needText, optionalArray, type TokenizerFiles } from './tokenizer_json.ts';

/** Two texts as one sequence: ids, and of each token which text's part it is in (0 or 1). */
export interface EncodedPair {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** A part of a pair's template: one of the two texts, or tokens of its own. */
interface Part {
  readonly text: 'A' | 'B' | null;
  readonly ids: readonly number[];
  readonly type: number;
}

const PLAIN: EncodeOptions = { addSpecial: false };

/**
 * A function that writes two texts as the post-processor of tokenizer.json says, and where there is none (vocabularies of GGUF
 * files) as BERT does for WordPiece, as RoBERTa does for others:
 *
 *   BERT      [CLS] a [SEP] b [SEP]        types 0 up to the first [SEP], then 1
 *   RoBERTa   <s> a </s> </s> b </s>       types 0
 *
 * Texts are never parsed for special tokens. Throws ConfigError for a post-processor that says nothing of pairs.
 * Source: Hugging Face tokenizers, processors/{bert,roberta,template}.rs.
 */
export function pairEncoder(
  files: TokenizerFiles,
  tokenizer: Tokenizer,
): (a: readonly number[], b: readonly number[]) => EncodedPair {
  const root = files.tokenizerJson as Json;
  const processor = root['post_processor'];
  const parts =
    processor === null || processor === undefined
      ? withoutProcessor(needObject(root['model'], 'model'), tokenizer)
      : partsOf(needObject(processor, 'post_processor'));
  return (a, b) => {
    const ids: number[] = [];
    const types: number[] = [];
    for (const part of parts) {
      const own = part.text === 'A' ? a : part.text === 'B' ? b : part.ids;
      for (const id of own) {
        ids.push(id);
        types.push(part.type);
      }
    }
    return { ids, types };
  };
}

/** The ids of one text of a pair. */
export function plainIds(tokenizer: Tokenizer, text: string): number[] {
  return tokenizer.encode(text, PLAIN);
}

function partsOf(json: Json): readonly Part[] {
  const type = needText(json['type'], 'post_processor.type');
  switch (type) {
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const idOf = (field: string) => needId(optionalArray(json[field], field)[1], `post_processor.${field}[1]`);
      return type === 'BertProcessing' ? bertParts(idOf('cls'), idOf('sep')) : robertaParts(idOf('cls'), idOf('sep'));
    }
    case 'TemplateProcessing':
      return templateParts(json);
    case 'Sequence': {
      const steps = optionalArray(json['processors'], 'post_processor.processors').map((step) =>
        needObject(step, 'post_processor.processors[]'),
      );
      const [step, another] = steps.filter((one) => one['type'] !== 'ByteLevel'); // which moves offsets only
      if (step !== undefined && another === undefined) return partsOf(step);
      throw new ConfigError(
        'tokenizer: post_processor has several steps that add tokens, so what a pair is is not known',
      );
    }
    default:
      throw new ConfigError(`tokenizer: post_processor.type is "${type}", which does not say what a pair of texts is`);
  }
}

function bertParts(cls: number, sep: number): readonly Part[] {
  return [
    own([cls], 0),
    { text: 'A', ids: [], type: 0 },
    own([sep], 0),
    { text: 'B', ids: [], type: 1 },
    own([sep], 1),
  ];
}

function robertaParts(cls: number, sep: number): readonly Part[] {
  return [
    own([cls], 0),
    { text: 'A', ids: [], type: 0 },
    own([sep, sep], 0),
    { text: 'B', ids: [], type: 0 },
    own([sep], 0),
  ];
}

const own = (ids: readonly number[], type: number): Part => ({ text: null, ids, type });

/** What the tokenizer puts around no text is its start and its end. */
function withoutProcessor(model: Json, tokenizer: Tokenizer): readonly Part[] {
  const [cls, sep, ...more] = tokenizer.encode('');
  if (cls === undefined || sep === undefined || more.length > 0) {
    throw new ConfigError('tokenizer: it has no start and end token, so what a pair of texts is is not known');
  }
  return model['type'] === 'WordPiece' ? bertParts(cls, sep) : robertaParts(cls, sep);
}

function templateParts(json: Json): readonly Part[] {
  const specials = json['special_tokens'] === undefined ? {} : needObject(json['special_tokens'], 'special_tokens');
  const parts = optionalArray(json['pair'], 'post_processor.pair').map((entry): Part => {
    const item = needObject(entry, 'post_processor.pair[]');
    const isText = item['Sequence'] !== undefined;
    const inner = needObject(isText ? item['Sequence'] : item['SpecialToken'], 'post_processor.pair[]');
    const type = needId(inner['type_id'] ?? 0, 'type_id');
    const name = needText(inner['id'], 'post_processor.pair[].id');
    if (isText) {
      if (name !== 'A' && name !== 'B') throw new ConfigError(`tokenizer: post_processor.pair has the text "${name}"`);
      return { text: name, ids: [], type };
    }
    const listed = Object.hasOwn(specials, name) ? needObject(specials[name], `special_tokens.${name}`) : null;
    if (listed === null)
      throw new ConfigError(`tokenizer: post_processor.special_tokens has no ${JSON.stringify(name)}`);
    return own(
      optionalArray(listed['ids'], 'ids').map((id) => needId(id, 'ids[]')),
      type,
    );
  });
  if (parts.some(({ text }) => text === 'A') && parts.some(({ text }) => text === 'B')) return parts;
  throw new ConfigError('tokenizer: post_processor.pair does not have both texts');
}

import { ConfigError } from '../core/errors.ts';
import type { Grammar } from '../sample/grammar/expression.ts';
import { parseGbnf } from '../sample/grammar/gbnf.ts';
import { type GrammarMasks, type GrammarVocabulary, grammarMasks } from '../sample/grammar/token_masks.ts';
import { tokenTrie } from '../sample/grammar/token_trie.ts';
import { schemaGrammar } from '../sample/schema/schema.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Forms, JsonSchema } from './forms.ts';

/** Grammars whose masks are kept, each up to 16 MiB: a server has a few, used again and again. */
const MAX_KEPT = 4;

const NO_BYTES = new Uint8Array(0);

export function createForms(tokenizer: Tokenizer): Forms {
  const kept = new Map<string, GrammarMasks>(); // the one used last is the last
  let vocabulary: GrammarVocabulary | undefined;

  function readVocabulary(): GrammarVocabulary {
    const bytesOf = (id: number): Uint8Array => (tokenizer.hasId(id) ? tokenizer.bytes(id) : NO_BYTES);
    return { trie: tokenTrie(tokenizer.vocabSize, bytesOf), bytesOf };
  }

  function masksOf(key: string, parse: () => Grammar): GrammarMasks {
    let masks = kept.get(key);
    if (masks === undefined) {
      const grammar = parse();
      vocabulary ??= readVocabulary();
      masks = grammarMasks(grammar, vocabulary);
      const [oldest] = kept.keys();
      if (kept.size >= MAX_KEPT) kept.delete(oldest!);
    }
    kept.delete(key);
    kept.set(key, masks);
    return masks;
  }

  return {
    begin({ grammar, schema }, { eosIds, stopIds }, prompt) {
      if (grammar === undefined && schema === undefined) return undefined;
      if (grammar !== undefined && schema !== undefined) {
        throw new ConfigError('grammar and schema are both given; a text has one form, leave one out');
      }
      if (grammar !== undefined && typeof grammar !== 'string') {
        throw new ConfigError(`grammar is ${typeof grammar}, must be the text of a grammar`);
      }
      const json = schema === undefined ? undefined : schemaText(schema);
      const masks =
        json === undefined
          ? masksOf(`grammar ${grammar}`, () => parseGbnf(grammar!))
          : masksOf(`schema ${json}`, () => schemaGrammar(JSON.parse(json)));
      checkEnd(tokenizer, prompt);
      const hasText = prompt.some((id) => tokenizer.bytes(id).length > 0);
      const text = masks.begin({
        endIds: new Set([...eosIds, ...stopIds]),
        dropsLeadingSpace: tokenizer.dropsLeadingSpace && !hasText,
      });
      let written = '';
      return {
        mask: () => text.mask(),
        accept: (id) => text.accept(id),
        shown(more) {
          written += more;
        },
        get mustEnd() {
          return text.mustEnd;
        },
        get isComplete() {
          return masks.accepts(new TextEncoder().encode(written));
        },
      };
    },
  };
}

/** The schema as JSON: what is left out of it (undefined, functions) was never in it. */
function schemaText(schema: JsonSchema): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(schema);
  } catch (e) {
    throw new ConfigError(`schema: is no JSON value (${(e as Error).message}); give what JSON.parse gives`);
  }
  if (json === undefined) throw new ConfigError(`schema is ${typeof schema}, must be an object or a boolean`);
  return json;
}

/** A character has at most so many bytes after its first one. */
const MAX_CONTINUATIONS = 3;

/** Throws ConfigError when the prompt's last bytes begin a character that is not complete. */
function checkEnd(tokenizer: Tokenizer, prompt: readonly number[]): void {
  const tail: number[] = [];
  for (let i = prompt.length - 1; i >= 0 && tail.length <= MAX_CONTINUATIONS; i--) {
    tail.unshift(...tokenizer.bytes(prompt[i]!).slice(-MAX_CONTINUATIONS));
  }
  const streamed = new TextDecoder().decode(Uint8Array.from(tail), { stream: true });
  if (streamed === new TextDecoder().decode(Uint8Array.from(tail))) return;
  throw new ConfigError(
    'the prompt ends in the middle of a character, so no text of a form can follow; end it with a whole one',
  );
}

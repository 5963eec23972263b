import type { TokenMask } from '../sample/logits.ts';
import type { StopRules } from '../sample/stopping.ts';

/** A JSON Schema, as JSON.parse gives it. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** The form that a generated text must have: at most one of them. */
export interface FormOptions {
  /** A grammar in GBNF: the text is one of its texts (docs/structured.md). */
  readonly grammar?: string;
  /** A JSON Schema: the text is JSON, and its value valid (docs/structured.md says which keywords). */
  readonly schema?: JsonSchema;
}

/** One text that is generated in a form. */
export interface TextInForm {
  /** The tokens that may come next. */
  mask(): TokenMask;
  /** Takes a token that does not end the text, and what was shown of it. */
  accept(id: number): void;
  shown(text: string): void;
  /** Nothing can follow. */
  readonly mustEnd: boolean;
  /** What was shown is a whole text of the form. */
  readonly isComplete: boolean;
}

/** The grammars of one model, its vocabulary read once, when the first is used. */
export interface Forms {
  /**
   * A new text after `prompt`; undefined where no form is asked for.
   * Throws what parseGbnf, schemaGrammar and grammarMasks throw; ConfigError for two forms at once, for a form of a wrong type, and for a
   * prompt that ends in the middle of a character, which no form can complete.
   */
  begin(options: FormOptions, rules: StopRules, prompt: readonly number[]): TextInForm | undefined;
}

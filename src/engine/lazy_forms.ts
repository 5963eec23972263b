import type { Tokenizer } from '../text/tokenizer.ts';
import type { FormOptions, Forms } from './forms.ts';

/** Gives the forms of a model to whoever is going to use `asked`. */
export type LoadForms = (asked: readonly FormOptions[]) => Promise<Forms>;

const NO_FORMS: Forms = { begin: () => undefined };

/** Grammars and schemas are an eighth of the engine, and few texts have a form: their code is loaded when the first is asked for. */
export function lazyForms(tokenizer: Tokenizer): LoadForms {
  let forms: Promise<Forms> | undefined;
  return (asked) => {
    if (!asked.some(({ grammar, schema }) => grammar !== undefined || schema !== undefined)) {
      return Promise.resolve(NO_FORMS);
    }
    forms ??= import('./structured.ts').then(({ createForms }) => createForms(tokenizer));
    return forms;
  };
}

import { type CodePointRange, rangesOf } from './code_points.ts';

/** A set of texts, by its form. `chars` is one character, by rising ranges that do not touch. */
export type Expression =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chars'; readonly ranges: readonly CodePointRange[] }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number }
  | { readonly kind: 'rule'; readonly name: string };

/** A context-free grammar: its texts are those of the rule `root`. */
export interface Grammar {
  /** What an error calls it: 'grammar' or 'schema'. */
  readonly origin: string;
  readonly root: string;
  readonly rules: ReadonlyMap<string, Expression>;
}

/** The empty text alone. */
export const EMPTY: Expression = { kind: 'sequence', items: [] };

/** No text at all. */
export const NEVER: Expression = { kind: 'choice', items: [] };

/** Exactly this text. Lone surrogates have no UTF-8: it must have none. */
export const text = (exact: string): Expression => ({ kind: 'text', text: exact });

/** One character of these ranges, given as pairs of first and last: chars('az', '__'). */
export const chars = (...pairs: readonly string[]): Expression => ({ kind: 'chars', ranges: rangesOf(...pairs) });

export const sequence = (...items: readonly Expression[]): Expression =>
  items.length === 1 ? items[0]! : { kind: 'sequence', items };

export const choice = (...items: readonly Expression[]): Expression =>
  items.length === 1 ? items[0]! : { kind: 'choice', items };

/** min to max times, one after the other; max may be Infinity. */
export const repeat = (item: Expression, min: number, max: number): Expression => ({ kind: 'repeat', item, min, max });

export const optional = (item: Expression): Expression => repeat(item, 0, 1);

export const rule = (name: string): Expression => ({ kind: 'rule', name });

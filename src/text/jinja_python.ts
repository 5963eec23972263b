import { ConfigError } from '../core/errors.ts';
import type { Value } from './jinja_values.ts';

// What Python does where the library does as JavaScript would: str(), repr() and ==. Templates are written for Jinja, which is Python.

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** str(value), which is what a template prints. Undefined prints nothing. */
export function pythonText(value: Value): string {
  return value.type === 'UndefinedValue' ? '' : typeof value.value === 'string' ? value.value : pythonRepr(value);
}

/** repr(value). Throws ConfigError for functions, whose text would be an address. */
function pythonRepr(value: Value): string {
  switch (value.type) {
    case 'StringValue':
      return quoted(value.value as string);
    case 'BooleanValue':
      return value.value === true ? 'True' : 'False';
    case 'NullValue':
      return 'None';
    case 'UndefinedValue':
      return 'Undefined';
    case 'ArrayValue':
      return `[${(value.value as Value[]).map(pythonRepr).join(', ')}]`;
    case 'TupleValue': {
      const items = (value.value as Value[]).map(pythonRepr);
      return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
    }
    case 'ObjectValue':
      return `{${[...(value.value as Map<string, Value>)].map(([key, v]) => `${quoted(key)}: ${pythonRepr(v)}`).join(', ')}}`;
    case 'FunctionValue':
      throw new ConfigError('chat template: prints a function; it lacks the brackets of a call');
    default:
      return String(value); // numbers
  }
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\p{Cc}\\'"]/gu, (c) => {
    if (c === "'" || c === '"') return c === quote ? `\\${c}` : c;
    return ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return quote + escaped + quote;
}

/** a == b: by value, a text never equal to a number, None never equal to what is undefined. True is 1. */
export function pythonEquals(a: Value, b: Value): boolean {
  const isNothing = ({ type }: Value): boolean => type === 'NullValue' || type === 'UndefinedValue'; // both have the value undefined
  if (isNothing(a) || isNothing(b)) return a.type === b.type;
  const [x, y] = [a.value, b.value];
  if (Array.isArray(x) && Array.isArray(y)) {
    return a.type === b.type && x.length === y.length && x.every((item: Value, i) => pythonEquals(item, y[i] as Value));
  }
  if (x instanceof Map && y instanceof Map) {
    return x.size === y.size && [...x].every(([key, v]) => y.has(key) && pythonEquals(v, y.get(key)));
  }
  const number = (v: unknown): unknown => (typeof v === 'boolean' ? Number(v) : v);
  return number(x) === number(y);
}

export type Strip = 'strip' | 'lstrip' | 'rstrip';

export function isStrip(name: string): name is Strip {
  return name === 'strip' || name === 'lstrip' || name === 'rstrip';
}

/** What str.isspace() holds for in Python, which differs from what JavaScript trims: U+FEFF is none, U+001C to U+001F and U+0085 are. */
const SPACES = '\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000'.concat(
  String.fromCharCode(...Array.from({ length: 11 }, (_, i) => 0x2000 + i)),
);

/** str.strip(characters) and its one-sided forms: takes any of the characters off the ends; white space where none are given. */
export function stripped(text: string, which: Strip, characters: unknown): string {
  const set = new Set(typeof characters === 'string' ? characters : SPACES);
  const points = Array.from(text);
  let from = 0;
  let to = points.length;
  if (which !== 'rstrip') while (from < to && set.has(points[from]!)) from++;
  if (which !== 'lstrip') while (to > from && set.has(points[to - 1]!)) to--;
  return points.slice(from, to).join('');
}

/** What an error calls the type of a value, as Python does. */
export function pythonType(value: Value): string {
  return PYTHON_TYPES[value.type] ?? value.type;
}

const PYTHON_TYPES: Readonly<Record<string, string>> = {
  StringValue: 'str',
  IntegerValue: 'int',
  FloatValue: 'float',
  BooleanValue: 'bool',
  NullValue: 'None',
  UndefinedValue: 'undefined',
  ArrayValue: 'list',
  TupleValue: 'tuple',
  ObjectValue: 'dict',
  FunctionValue: 'function',
};

import { CapacityError, UnsupportedError } from '../core/errors.ts';

/** A value of @huggingface/jinja's interpreter, by the fields that are used here. */
export interface Value {
  /** "StringValue", "ArrayValue", "NamespaceValue", ... */
  readonly type: string;
  readonly value: unknown;
  readonly builtins?: ReadonlyMap<string, Value>;
}

/** What a value is when it is written out in full, with shared parts counted each time. */
export interface Extent {
  /** Characters of all strings and keys, and a few for each other value. */
  readonly chars: number;
  /** Values in all, itself included. */
  readonly nodes: number;
  readonly depth: number;
}

/** What numbers and bools, and the punctuation between elements, take when written: an allowance, not a bound. */
const SCALAR_CHARS = 24;
const SEPARATOR_CHARS = 4;

/** Deeper values overflow the stack of whoever writes them out. */
const MAX_DEPTH = 200;

export function isContainer(value: Value): boolean {
  return isSequence(value) || value.value instanceof Map;
}

function isSequence(value: Value): value is Value & { readonly value: readonly Value[] } {
  return (value.type === 'ArrayValue' || value.type === 'TupleValue') && Array.isArray(value.value);
}

/** Elements of a container, 0 for others. */
export function nItems(value: Value): number {
  if (isSequence(value)) return value.value.length;
  return value.value instanceof Map ? value.value.size : 0;
}

/**
 * Measures values and refuses those that are too large to write out.
 *
 * A list may hold one list many times: `[a, a]` over and over doubles what printing costs with every step. Extents of
 * immutable containers are remembered, so that measuring a new one costs its own elements only; the limit stops the doubling.
 */
export class Scales {
  private readonly known = new WeakMap<object, Extent>();
  private readonly maxChars: number;

  constructor(maxChars: number) {
    this.maxChars = maxChars;
  }

  isKnown(value: Value): boolean {
    return this.known.has(value);
  }

  /**
   * Throws CapacityError above the limit, UnsupportedError for a namespace inside another value (namespaces can change after
   * they were measured, and could hold themselves).
   */
  measure(value: Value): Extent {
    if (typeof value.value === 'string') return this.checked({ chars: value.value.length, nodes: 1, depth: 0 });
    if (!isContainer(value)) return { chars: SCALAR_CHARS, nodes: 1, depth: 0 };
    const known = this.known.get(value);
    if (known !== undefined) return known;
    let chars = SCALAR_CHARS;
    let nodes = 1;
    let depth = 0;
    const add = (child: Value, keyChars: number) => {
      if (child.type === 'NamespaceValue')
        throw new UnsupportedError('chat template: a namespace inside another value');
      const extent = this.measure(child);
      chars += extent.chars + keyChars + SEPARATOR_CHARS;
      nodes += extent.nodes;
      depth = Math.max(depth, extent.depth + 1);
    };
    if (isSequence(value)) for (const child of value.value) add(child, 0);
    else for (const [key, child] of value.value as Map<string, Value>) add(child, key.length);
    const extent = this.checked({ chars, nodes, depth });
    if (value.type !== 'NamespaceValue') this.known.set(value, extent);
    return extent;
  }

  private checked(extent: Extent): Extent {
    if (extent.depth > MAX_DEPTH) {
      throw new CapacityError(`chat template: a value nested ${extent.depth} deep, at most ${MAX_DEPTH}`);
    }
    this.fits(extent.chars, 'a value');
    return extent;
  }

  /** Throws CapacityError when something of `chars` characters is more than a render may hold. */
  fits(chars: number, what: string): void {
    if (chars <= this.maxChars) return;
    throw new CapacityError(
      `chat template: ${what} of ${chars} characters, at most ${this.maxChars}; shorten the messages, raise maxOutput, or use another template`,
    );
  }
}

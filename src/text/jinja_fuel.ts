import { CapacityError, ConfigError, UnsupportedError } from '../core/errors.ts';
import { JinjaInterpreter, known, type Scope } from './jinja_interpreter.ts';
import { pythonText } from './jinja_python.ts';
import { findUses, type Node, type Use } from './jinja_uses.ts';
import { isContainer, nItems, Scales, type Value } from './jinja_values.ts';

export interface Fuel {
  /** Evaluated nodes; long strings and lists cost more (one step for 64 characters or for one element). */
  readonly maxSteps: number;
  /** Characters of any one value, the result included. */
  readonly maxOutput: number;
}

/** Nested evaluations. Real templates stay below 50; each takes three or four frames of the stack. */
const MAX_NESTING = 400;
const CHARS_PER_STEP = 64;
/** Loops build two scopes for each element before the first one runs. */
const STEPS_PER_LOOP_ELEMENT = 4;
/** They leave a loop by an exception, which costs as much as a few dozen plain steps. */
const STEPS_PER_JUMP = 30;
/** Elements of a list that one call may make out of a string. */
const MAX_NEW_ITEMS = 2 ** 17;

/** The library's own words leave out which function it is. */
function missingFunction(callee: Node): ConfigError {
  const name = String(callee['value'] ?? 'what it has computed');
  const advice = name === 'strftime_now' ? 'it asks for the date: pass `now`' : 'use generate --raw';
  return new ConfigError(`chat template: calls ${name}, which is not there; ${advice}`);
}

/**
 * The interpreter with fuel: any template, however hostile, ends within a bounded number of steps and characters.
 *
 * Everything that a template does goes through `evaluate`, which pays here, before or after, for what the library then does
 * in one go: writing lists out, walking them, joining strings. Four operations can make much out of little in a single
 * call (replace, join, indent, tojson) and one makes many objects (split): their operands are computed first, their result
 * is estimated, and only then are they run.
 * Throws CapacityError when the fuel is spent.
 */
export class FueledInterpreter extends JinjaInterpreter {
  private readonly scales: Scales;
  private readonly uses: ReadonlyMap<Node, Use>;
  private readonly maxSteps: number;
  private steps = 0;
  private nesting = 0;
  /** Strings by their own bound methods, so that a call knows what it works on. */
  private readonly methods = new WeakMap<Value, { readonly name: string; readonly text: string }>();
  private assigned: Value | null = null;

  constructor(scope: object, program: Node, fuel: Fuel) {
    super(scope);
    this.scales = new Scales(fuel.maxOutput);
    this.maxSteps = fuel.maxSteps;
    this.uses = findUses(program);
  }

  override evaluate(node: Node | undefined, scope: Scope): Value {
    if (node?.type === 'Known') return super.evaluate(node, scope);
    this.spend(node?.type === 'Break' || node?.type === 'Continue' ? STEPS_PER_JUMP : 1);
    if (++this.nesting > MAX_NESTING) {
      throw new CapacityError(`chat template: nested deeper than ${MAX_NESTING} (a macro that calls itself?)`);
    }
    try {
      const value = node === undefined ? super.evaluate(node, scope) : this.run(node, scope);
      if (node === undefined) return value;
      this.pay(node, value);
      if (this.uses.get(node) !== 'printed' || typeof value.value === 'string') return value;
      const printed = this.text(pythonText(value), scope);
      this.pay(node, printed);
      return printed;
    } finally {
      this.nesting--; // also when a break or continue passes through
    }
  }

  private spend(steps: number): void {
    this.steps += steps;
    if (this.steps <= this.maxSteps) return;
    throw new CapacityError(
      `chat template: stopped after ${this.maxSteps} steps; raise maxSteps, or use another template if this one never ends`,
    );
  }

  /** Computes operands first where the operation must be estimated, then lets the library do the operation. */
  private run(node: Node, scope: Scope): Value {
    switch (node.type) {
      case 'MemberExpression': {
        const object = this.evaluate(node['object'] as Node, scope);
        const value = super.evaluate({ ...node, object: known(object) }, scope);
        if (value.type === 'FunctionValue' && typeof object.value === 'string') {
          // Every call of a method reads its whole text, even where little comes of it.
          const name = ['replace', 'split'].find((known) => object.builtins?.get(known) === value) ?? '';
          this.methods.set(value, { name, text: object.value });
        }
        return value;
      }
      case 'CallExpression': {
        const callee = this.evaluate(node['callee'] as Node, scope);
        if (callee.type === 'UndefinedValue') throw missingFunction(node['callee'] as Node);
        const method = this.methods.get(callee);
        if (method === undefined) return super.evaluate({ ...node, callee: known(callee) }, scope);
        const [args, values] = this.arguments(node['args'] as Node[], scope);
        this.estimate(method.name, { type: 'StringValue', value: method.text }, values);
        return super.evaluate({ ...node, callee: known(callee), args }, scope);
      }
      case 'FilterExpression': {
        const filter = node['filter'] as Node;
        const isCall = filter.type === 'CallExpression';
        const name = ((isCall ? filter['callee'] : filter) as Node)['value'] as string;
        if (!['replace', 'join', 'indent', 'tojson'].includes(name)) return super.evaluate(node, scope);
        const operand = this.evaluate(node['operand'] as Node, scope);
        const [args, values] = isCall ? this.arguments(filter['args'] as Node[], scope) : [[], []];
        this.estimate(name, operand, values);
        const ready = isCall ? { ...filter, args } : filter;
        return super.evaluate({ ...node, operand: known(operand), filter: ready }, scope);
      }
      case 'FilterStatement': {
        // {% filter f %}body{% endfilter %} is (body | f); a body is rendered by a branch that is always taken.
        const body = { type: 'If', test: { type: 'IntegerLiteral', value: 1 }, body: node['body'], alternate: [] };
        return this.run({ type: 'FilterExpression', operand: body, filter: node['filter'] }, scope);
      }
      default:
        return super.evaluate(node, scope);
    }
  }

  /** Evaluates arguments; gives nodes that hold them, and their values (positional ones first, keywords by value). */
  private arguments(args: readonly Node[], scope: Scope): [Node[], Value[]] {
    const values: Value[] = [];
    const nodes = args.map((arg) => {
      const field = ARGUMENT_FIELD[arg.type];
      const value = this.evaluate(field === undefined ? arg : (arg[field] as Node), scope);
      if (arg.type === 'SpreadExpression' && Array.isArray(value.value)) values.push(...(value.value as Value[]));
      else if (arg.type === 'KeywordSpreadExpression' && value.value instanceof Map)
        values.push(...value.value.values());
      else values.push(value);
      return field === undefined ? known(value) : { ...arg, [field]: known(value) };
    });
    return [nodes, values];
  }

  /** Throws CapacityError when the result of an operation that grows its operand would be too large. */
  private estimate(name: string, operand: Value, args: readonly Value[]): void {
    const extent = this.scales.measure(operand);
    const texts = args.map((arg) => arg.value).filter((value) => typeof value === 'string');
    const longest = Math.max(0, ...texts.map((text) => text.length));
    const numbers = args.map((arg) => arg.value).filter((value) => typeof value === 'number');
    const width = Math.max(4, ...numbers.map(Math.abs));
    this.spend(Math.ceil(extent.chars / CHARS_PER_STEP));
    switch (name) {
      case 'replace':
      case 'split': {
        if (typeof operand.value !== 'string') return; // refused by the library
        const pieces = occurrences(operand.value, texts[0]);
        if (name === 'replace')
          this.scales.fits(extent.chars + pieces * (texts[1] ?? '').length, 'the result of replace');
        else if (pieces > MAX_NEW_ITEMS) {
          throw new CapacityError(`chat template: split gives ${pieces} parts, at most ${MAX_NEW_ITEMS}`);
        }
        return;
      }
      case 'join': {
        const n = typeof operand.value === 'string' ? operand.value.length : extent.nodes;
        this.scales.fits(extent.chars + n * longest, 'the result of join');
        return;
      }
      case 'indent': {
        const lines = typeof operand.value === 'string' ? occurrences(operand.value, '\n') + 1 : 0;
        this.scales.fits(extent.chars + lines * width, 'the result of indent');
        return;
      }
      case 'tojson': {
        const perNode = 2 * longest + (numbers.length > 0 ? width * (extent.depth + 1) : 0);
        this.scales.fits(extent.chars + extent.nodes * perNode, 'the result of tojson');
        return;
      }
    }
  }

  /** Charges for what will be done with a value at its place, and refuses values that are too large. */
  private pay(node: Node, value: Value): void {
    if (typeof value.value === 'string') {
      this.scales.measure(value);
      this.spend(value.value.length / CHARS_PER_STEP);
    } else if (isContainer(value) && !this.scales.isKnown(value)) {
      this.scales.measure(value);
      this.spend(nItems(value));
    }
    const use = this.uses.get(node);
    switch (use) {
      case 'written':
      case 'printed':
        if (isContainer(value)) this.spend(this.scales.measure(value).chars / CHARS_PER_STEP);
        break;
      case 'walked':
        this.spend(nItems(value));
        break;
      case 'looped':
        this.spend(nItems(value) * STEPS_PER_LOOP_ELEMENT);
        break;
      case 'assigned':
        this.assigned = value;
        break;
      case 'called':
        // A call block hands its arguments over unseen.
        if (this.methods.has(value)) throw new UnsupportedError('chat template: a call block on a method of a string');
        break;
      case undefined:
        break;
      default:
        use satisfies never;
    }
    // A namespace grew: measure it with its new member.
    if (node.type === 'Set' && (node['assignee'] as Node).type === 'MemberExpression' && this.assigned !== null) {
      this.scales.measure(this.assigned);
    }
  }
}

/** The field that holds the value of an argument that is more than a plain expression. */
const ARGUMENT_FIELD: Readonly<Record<string, string | undefined>> = {
  SpreadExpression: 'argument',
  KeywordSpreadExpression: 'argument',
  KeywordArgumentExpression: 'value',
};

/** Places where `what` stands in `text` (white space where there is none to look for), counted without making the parts. */
function occurrences(text: string, what: string | undefined): number {
  if (what === '') return text.length + 1;
  let count = 0;
  if (what === undefined) {
    for (const _ of text.matchAll(/\S+/g)) count++;
    return count;
  }
  for (let i = text.indexOf(what); i >= 0; i = text.indexOf(what, i + what.length)) count++;
  return count;
}

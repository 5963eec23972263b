import { Interpreter } from '@huggingface/jinja';
import { ConfigError } from '../core/errors.ts';
import { isStrip, pythonEquals, pythonText, pythonType, stripped } from './jinja_python.ts';
import type { Node } from './jinja_uses.ts';
import type { Value } from './jinja_values.ts';

export interface Scope {
  lookupVariable(name: string): Value;
}

/** The interpreter of @huggingface/jinja by what is public at run time. */
const PlainInterpreter = Interpreter as unknown as new (
  scope: object,
) => { evaluate(node: Node | undefined, scope: Scope): Value };

/** A node that stands for a value already computed. */
interface Known extends Node {
  readonly type: 'Known';
  readonly known: Value;
}

export const known = (value: Value): Known => ({ type: 'Known', known: value });

/** Filters that take a text, and make one of whatever else they are given. */
const TEXT_FILTERS = ['trim', 'string', 'upper', 'lower', 'title', 'capitalize'];

/**
 * The library's interpreter, with Python's ways where it has others: values are compared by Python's ==, printed as str() writes
 * them, a text and a list are not joined by +, what is not there has no fields, a dict's own methods come before its entries of that
 * name, a loop takes a text letter by letter, and the filters select and reject are there.
 * test/text/templates holds it against Jinja.
 */
export class JinjaInterpreter extends PlainInterpreter {
  override evaluate(node: Node | undefined, scope: Scope): Value {
    switch (node?.type) {
      case 'Known':
        return (node as Known).known;
      case 'MemberExpression':
        return this.member(node, scope);
      case 'BinaryExpression':
        return this.binary(node, scope);
      case 'FilterExpression':
        return this.filter(node, scope);
      case 'For':
        return this.loop(node, scope);
      default:
        return super.evaluate(node, scope);
    }
  }

  /** A new text, as the library keeps it. */
  text(text: string, scope: Scope): Value {
    return super.evaluate({ type: 'StringLiteral', value: text }, scope);
  }

  private list(items: readonly Value[], scope: Scope): Value {
    return super.evaluate({ type: 'ArrayLiteral', value: items.map(known) }, scope);
  }

  private boolean(is: boolean, scope: Scope): Value {
    const test = { type: 'Identifier', value: 'defined' };
    return super.evaluate({ type: 'TestExpression', negate: !is, operand: known(this.text('', scope)), test }, scope);
  }

  private member(node: Node, scope: Scope): Value {
    const object = this.evaluate(node['object'] as Node, scope);
    const property = node['property'] as Node;
    const isNamed = node['computed'] !== true && property.type === 'Identifier';
    if (object.type === 'UndefinedValue') {
      const field = isNamed ? ` ${JSON.stringify(property['value'])}` : '';
      throw new ConfigError(
        `chat template: reads the field${field} of something that is not there; check that the messages have all fields`,
      );
    }
    const name = String(property['value']);
    if (isNamed && typeof object.value === 'string' && isStrip(name)) {
      // The library's own ones take no characters.
      const builtin = object.builtins!.get(name)!;
      const text = object.value;
      const strip = ([characters]: Value[], from: Scope): Value =>
        this.text(stripped(text, name, characters?.value), from);
      return new (builtin.constructor as new (call: typeof strip) => Value)(strip);
    }
    if (isNamed && object.type === 'ObjectValue') {
      const method = object.builtins?.get(name);
      if (method !== undefined) return method;
    }
    return super.evaluate({ ...node, object: known(object) }, scope);
  }

  private binary(node: Node, scope: Scope): Value {
    const operator = (node['operator'] as { value: string }).value;
    if (operator === 'and' || operator === 'or') return super.evaluate(node, scope);
    const left = this.evaluate(node['left'] as Node, scope);
    const right = this.evaluate(node['right'] as Node, scope);
    switch (operator) {
      case '==':
        return this.boolean(pythonEquals(left, right), scope);
      case '!=':
        return this.boolean(!pythonEquals(left, right), scope);
      case '~':
        return this.text(pythonText(left) + pythonText(right), scope);
      case '+':
        if ((left.type === 'StringValue') !== (right.type === 'StringValue')) {
          throw new ConfigError(
            `chat template: joins ${pythonType(left)} and ${pythonType(right)} by +; it may want contents that are plain text`,
          );
        }
        break;
    }
    return super.evaluate({ ...node, left: known(left), right: known(right) }, scope);
  }

  private filter(node: Node, scope: Scope): Value {
    const filter = node['filter'] as Node;
    const isCall = filter.type === 'CallExpression';
    const name = String((isCall ? (filter['callee'] as Node) : filter)['value']);
    const given = this.evaluate(node['operand'] as Node, scope);
    let operand = given;
    if (TEXT_FILTERS.includes(name) && operand.type !== 'StringValue') {
      operand = this.text(pythonText(operand), scope);
    } else if (operand.type === 'UndefinedValue' && name === 'length') {
      operand = this.list([], scope);
    } else if (['list', 'select', 'reject', 'selectattr', 'rejectattr', 'map'].includes(name)) {
      operand = this.iterable(operand, scope);
    } else if ((name === 'first' || name === 'last') && Array.isArray(operand.value) && operand.value.length === 0) {
      return scope.lookupVariable(''); // undefined: no variable has that name
    }
    if (name === 'trim') {
      const [characters] = isCall ? (filter['args'] as Node[]).map((arg) => this.evaluate(arg, scope)) : [];
      return this.text(stripped(operand.value as string, 'strip', characters?.value), scope);
    }
    if (isCall && typeof given.value === 'string' && (name === 'selectattr' || name === 'rejectattr')) {
      // The characters of a text have no attributes: all of them pass the test, or none does.
      const [, test, ...rest] = (filter['args'] as Node[]).map((arg) => this.evaluate(arg, scope));
      const isPassed = test !== undefined && this.passes(scope.lookupVariable(''), String(test.value), rest, scope);
      return isPassed === (name === 'selectattr') ? operand : this.list([], scope);
    }
    if (isCall && (name === 'select' || name === 'reject')) {
      const [test, ...rest] = (filter['args'] as Node[]).map((arg) => this.evaluate(arg, scope));
      const items = (operand.value as Value[]).filter(
        (item) => this.passes(item, String(test?.value), rest, scope) === (name === 'select'),
      );
      return this.list(items, scope);
    }
    return super.evaluate({ ...node, operand: known(operand) }, scope);
  }

  /** `item is test(args)`. */
  private passes(item: Value, test: string, [first]: readonly Value[], scope: Scope): boolean {
    if (first !== undefined) {
      if (test === 'equalto' || test === 'eq' || test === '==') return pythonEquals(item, first);
      if (test === 'ne' || test === '!=') return !pythonEquals(item, first);
      if (test !== 'in') throw new ConfigError(`chat template: there is no test ${test} with a value here`);
      const operator = { value: 'in' };
      return this.evaluate({ type: 'BinaryExpression', operator, left: known(item), right: known(first) }, scope)
        .value as boolean;
    }
    const node = {
      type: 'TestExpression',
      negate: false,
      operand: known(item),
      test: { type: 'Identifier', value: test },
    };
    return this.evaluate(node, scope).value as boolean;
  }

  private loop(node: Node, scope: Scope): Value {
    const iterable = node['iterable'] as Node;
    if (iterable.type === 'SelectExpression') {
      const lhs = known(this.iterable(this.evaluate(iterable['lhs'] as Node, scope), scope));
      return super.evaluate({ ...node, iterable: { ...iterable, lhs } }, scope);
    }
    return super.evaluate({ ...node, iterable: known(this.iterable(this.evaluate(iterable, scope), scope)) }, scope);
  }

  /** A list for what Python walks as one: a text by its characters, what is not there as nothing. */
  private iterable(value: Value, scope: Scope): Value {
    if (value.type === 'UndefinedValue') return this.list([], scope);
    if (typeof value.value !== 'string') return value;
    return this.list(
      Array.from(value.value, (character) => this.text(character, scope)),
      scope,
    );
  }
}

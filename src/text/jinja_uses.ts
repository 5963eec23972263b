/** A node of the parsed template, by the fields that are used here. */
export interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * What the place of a node says about its value: it is printed, written out in full for another reason (joined), walked along once,
 * looped over, is the namespace that a member of is set, or is what a call block calls.
 */
export type Use = 'printed' | 'written' | 'walked' | 'looped' | 'assigned' | 'called';

/** Filters that go through all of their operand, parts of parts too; others walk along it at most once. */
const WRITING_FILTERS = new Set('string trim upper lower title capitalize join tojson select reject'.split(' '));

/** What stands in a body and is no expression, whose value would be printed. */
const STATEMENTS = new Set('Program If For Set Macro CallStatement FilterStatement Comment Break Continue'.split(' '));

/** Walks the parsed template once, without recursion, and notes the nodes whose values cost more than their own step. */
export function findUses(program: Node): ReadonlyMap<Node, Use> {
  const uses = new Map<Node, Use>();
  const note = (node: unknown, use: Use) => {
    if (isNode(node)) uses.set(node, use);
  };
  const open: unknown[] = [program];
  while (open.length > 0) {
    const node = open.pop();
    if (Array.isArray(node)) for (const child of node) open.push(child);
    else if (node instanceof Map) for (const entry of node) open.push(entry[0], entry[1]);
    else if (isNode(node)) {
      for (const field of ['body', 'alternate', 'defaultBlock']) {
        if (!Array.isArray(node[field])) continue;
        for (const child of node[field]) note(child, STATEMENTS.has(child?.type) ? 'written' : 'printed');
      }
      switch (node.type) {
        case 'For': {
          const iterable = node['iterable'];
          note(isNode(iterable) && iterable.type === 'SelectExpression' ? iterable['lhs'] : iterable, 'looped');
          break;
        }
        case 'BinaryExpression': {
          const operator = (node['operator'] as { value: string }).value;
          const use = ['~', '+', '==', '!='].includes(operator) ? 'written' : 'walked';
          note(node['left'], use);
          note(node['right'], use);
          break;
        }
        case 'FilterExpression': {
          const filter = node['filter'] as Node;
          const name = (filter.type === 'CallExpression' ? (filter['callee'] as Node) : filter)['value'];
          note(node['operand'], WRITING_FILTERS.has(String(name)) ? 'written' : 'walked');
          break;
        }
        case 'SpreadExpression':
        case 'KeywordSpreadExpression':
          note(node['argument'], 'walked');
          break;
        case 'Set':
          if ((node['assignee'] as Node).type === 'MemberExpression') {
            note((node['assignee'] as Node)['object'], 'assigned');
          }
          break;
        case 'CallStatement':
          note((node['call'] as Node)['callee'], 'called');
          break;
      }
      for (const child of Object.values(node)) open.push(child);
    }
  }
  return uses;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

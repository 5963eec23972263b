import type { MetaArray, MetaScalar, MetaValue } from '../core/metadata.ts';
import { showShape } from '../core/shape.ts';
import type { LoadOptions } from '../engine/options.ts';
import type { JsonValue } from '../load/json_file.ts';
import { plural, printable, showBytes, showCount, table } from './format.ts';
import { type Inspected, memoryNeedOf, sizesByType } from './inspect_file.ts';
import type { Style } from './style.ts';

/** Elements of a long array that are shown; a vocabulary has 150,000. */
const SHOWN_ELEMENTS = 6;
/** Characters of a long string that are shown; a chat template has thousands. */
const SHOWN_CHARACTERS = 160;

/** The report for programs. Long arrays are {arrayOf, length, first}. */
export function inspectJson(file: Inspected, options: LoadOptions): object {
  const { name, format, sizeBytes, tensors, model } = file;
  return {
    name,
    format,
    sizeBytes,
    metadata: new Map([...file.metadata].map(([key, value]) => [key, shortened(value)])),
    tensors: [...tensors.values()].map((t) => ({ name: t.name, type: t.type, shape: t.shape, nBytes: t.nBytes })),
    types: sizesByType(tensors),
    ...('missing' in model
      ? { model: null, missing: model.missing }
      : {
          model: {
            architecture: model.description.architecture,
            config: model.description.config,
            memory: memoryNeedOf(model.graph, model.description, options),
          },
          missing: null,
        }),
  };
}

/** The report for people. Everything that comes from the file is escaped where it could drive a terminal. */
export function inspectText(file: Inspected, options: LoadOptions, style: Style): string {
  const { tensors } = file;
  const title = (name: string, rest: string): string => `${style.bold(name)}  ${rest}\n`;
  const parts = [
    title(printable(file.name), `${file.format}, ${showBytes(file.sizeBytes)}`),
    '\n',
    title('metadata', plural(file.metadata.size, 'pair')),
    table([...file.metadata].map(([key, value]) => [`  ${printable(key)}`, valueText(value)])),
    '\n',
    title('tensors', plural(tensors.size, 'tensor')),
    table(
      [...tensors.values()].map((t) => [`  ${printable(t.name)}`, t.type, showShape(t.shape), showCount(t.nBytes)]),
      [3],
    ),
    '\n',
    title('types', ''),
    table(
      sizesByType(tensors).map((t) => [`  ${t.type}`, plural(t.nTensors, 'tensor'), showBytes(t.nBytes)]),
      [1, 2],
    ),
    '\n',
    modelText(file, options, title),
  ];
  return parts.join('');
}

function modelText(file: Inspected, options: LoadOptions, title: (name: string, rest: string) => string): string {
  if ('missing' in file.model)
    return `${title('not a decoder that can be run', '')}  ${printable(file.model.missing)}\n`;
  const { description, graph } = file.model;
  const c = description.config;
  const need = memoryNeedOf(graph, description, options);
  return [
    title('model', printable(description.architecture)),
    table([
      ['  layers', String(c.nLayers)],
      ['  width', `${c.dim}, feed-forward ${c.hiddenDim}`],
      ['  heads', `${c.nHeads} of ${c.headDim}, ${c.nKvHeads} for keys and values`],
      ['  vocabulary', showCount(c.vocab)],
      ['  context', showCount(c.maxContext)],
      ...description.facts.map(([name, text]) => [`  ${name}`, text]),
    ]),
    '\n',
    title('memory', showBytes(need.totalBytes)),
    table(
      [
        ['  weights', showBytes(need.weightBytes)],
        ['  cache', showBytes(need.cacheBytes), `${showCount(need.maxSeq)} positions`],
        ['  scratch', showBytes(need.scratchBytes)],
      ],
      [1],
    ),
  ].join('');
}

function isMetaArray(value: object): value is MetaArray {
  return 'arrayOf' in value && 'values' in value;
}

/** One line, whatever the value is. */
function valueText(value: MetaValue | JsonValue): string {
  if (value instanceof Uint8Array) return `${plural(value.length, 'byte')} that are not UTF-8`;
  if (typeof value === 'object' && value !== null && isMetaArray(value)) {
    const first = Array.from({ length: Math.min(SHOWN_ELEMENTS, value.values.length) }, (_, i) => value.values[i]!);
    const rest = value.values.length > first.length ? ', ...' : '';
    return `${value.arrayOf}[${showCount(value.values.length)}] ${first.map(scalarText).join(', ')}${rest}`;
  }
  return typeof value === 'object' ? cut(JSON.stringify(value)) : scalarText(value);
}

function scalarText(value: MetaScalar): string {
  if (value instanceof Uint8Array) return valueText(value);
  return typeof value === 'string' ? cut(JSON.stringify(value)) : String(value);
}

function cut(text: string): string {
  const characters = Array.from(text.slice(0, 2 * SHOWN_CHARACTERS));
  const shown = characters.length > SHOWN_CHARACTERS ? `${characters.slice(0, SHOWN_CHARACTERS).join('')}...` : text;
  return printable(shown);
}

/** Bytes as hex, long arrays by their beginning; everything else as it is. */
function shortened(value: MetaValue | JsonValue): unknown {
  if (value instanceof Uint8Array) return `0x${Array.from(value, (b) => b.toString(16).padStart(2, '0')).join('')}`;
  if (typeof value !== 'object' || value === null || !isMetaArray(value)) return value;
  const { arrayOf, values } = value;
  const elements = (n: number): unknown[] => Array.from({ length: n }, (_, i) => shortened(values[i]!));
  if (values.length <= SHOWN_ELEMENTS) return elements(values.length);
  return { arrayOf, length: values.length, first: elements(SHOWN_ELEMENTS) };
}

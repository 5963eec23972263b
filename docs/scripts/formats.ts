import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { META_TYPES } from '../../src/core/metadata.ts';
import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import { packedBytes, panelRows } from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { GGUF_DEFAULT_ALIGNMENT } from '../../src/load/gguf_header.ts';
import { GGML_TYPES } from '../../src/load/gguf_types.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { takesQ8 } from '../../src/quant/codes.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { annotate, type Field } from './hex_dump.ts';
import { f32Text, table } from './number_text.ts';
import { fence } from './source_quote.ts';

/** The regions of docs/formats.md. */
export async function formatRegions(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['gguf', await ggufExample()],
    ['gguf value types', META_TYPES.map((type, number) => `${number} ${type}`).join(', ')],
    ['gguf tensor types', tensorTypes()],
    ['safetensors', await safetensorsExample()],
    ['q8_0', blockExample('q8_0')],
    ['q4_0', blockExample('q4_0')],
    ['panels', await panelExample()],
  ]);
}

const MATRIX = Float32Array.of(1, 2, 3, 4, 5, 6);

/** Writes a small file, reads it back with the engine's own reader, and says what each byte is. */
async function ggufExample(): Promise<string> {
  const architecture = 'tiny';
  const file = writeGguf({
    metadata: [
      ['general.architecture', 'string', architecture],
      ['tiny.sizes', 'array', { arrayOf: 'u8', values: [2, 3] }],
    ],
    tensors: [
      { name: 'a', type: 'f32', shape: [2, 3], bytes: new Uint8Array(MATRIX.buffer) },
      { name: 'b', type: 'q8_0', shape: [1, 32], bytes: packed('q8_0', ramp()) },
    ],
  });
  const string = (what: string, text: string): Field[] => [
    ['u64', 8, `length of ${what}`],
    ['text', text.length, what],
  ];
  const fields: Field[] = [
    ['text', 4, 'magic'],
    ['u32', 4, 'version'],
    ['u64', 8, 'tensors'],
    ['u64', 8, 'key-value pairs'],
    ...string('key', 'general.architecture'),
    ['u32', 4, 'value type (string)'],
    ...string('value', architecture),
    ...string('key', 'tiny.sizes'),
    ['u32', 4, 'value type (array)'],
    ['u32', 4, 'element type (u8)'],
    ['u64', 8, 'elements'],
    ['u8', 2, 'elements'],
    ...string('tensor name', 'a'),
    ['u32', 4, 'axes'],
    ['u64', 8, 'innermost axis'],
    ['u64', 8, 'outer axis'],
    ['u32', 4, 'tensor type (f32)'],
    ['u64', 8, 'offset within the data'],
    ...string('tensor name', 'b'),
    ['u32', 4, 'axes'],
    ['u64', 8, 'innermost axis'],
    ['u64', 8, 'outer axis'],
    ['u32', 4, 'tensor type (q8_0)'],
    ['u64', 8, 'offset within the data'],
  ];
  const padding = (nBytes: number): Field => {
    const n = (GGUF_DEFAULT_ALIGNMENT - (nBytes % GGUF_DEFAULT_ALIGNMENT)) % GGUF_DEFAULT_ALIGNMENT;
    return ['raw', n, `padding to a multiple of ${GGUF_DEFAULT_ALIGNMENT}`];
  };
  const bytesSoFar = (all: readonly Field[]): number => all.reduce((n, [, nBytes]) => n + nBytes, 0);
  fields.push(padding(bytesSoFar(fields)));
  fields.push(['f32', 24, 'data of a'], padding(24));
  fields.push(['raw', 34, 'data of b: one block, f16 scale then 32 codes'], padding(34));
  return described(file, fields);
}

async function safetensorsExample(): Promise<string> {
  const file = writeSafetensors([{ name: 'a', dtype: 'F32', shape: [2, 3], data: MATRIX }], { format: 'pt' });
  const headerBytes = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(file.subarray(8, 8 + headerBytes));
  const fields: Field[] = [
    ['u64', 8, 'length of the header'],
    ['raw', headerBytes, 'the header, JSON, padded with spaces to a multiple of 8'],
    ['f32', 24, 'data of a'],
  ];
  return `${await described(file, fields)}\n\nThe header in full:\n\n${fence('json', [header.trimEnd()])}`;
}

/** The dump, if the engine reads the file back as it was meant. */
async function described(file: Uint8Array, fields: readonly Field[]): Promise<string> {
  const { tensors } = await openModelFile(bufferSource('example', file));
  if (tensors.get('a')?.shape.join() !== '2,3') throw new Error('the example was not read back');
  return fence('text', annotate(file, fields));
}

/** 32 values from -1.6 to 1.5. */
function ramp(): Float32Array {
  return Float32Array.from({ length: 32 }, (_, i) => (i - 16) / 10);
}

function packed(dtype: 'q8_0' | 'q4_0', values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(DTYPES[dtype].blockBytes);
  FORMATS[dtype].pack(values, 0, values.length, bytes, 0);
  return bytes;
}

/** One block of a ramp: its bytes, and what comes back. */
function blockExample(dtype: 'q8_0' | 'q4_0'): string {
  const values = ramp();
  const bytes = packed(dtype, values);
  const back = new Float32Array(values.length);
  FORMATS[dtype].unpack(bytes, 0, back, 0, back.length);
  const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - back[i]!)), 0);
  const show = (x: Float32Array): string => Array.from(x.subarray(0, 6), f32Text).join(', ');
  return fence('text', [
    ...annotate(bytes, [
      ['raw', 2, 'd, f16'],
      ['raw', bytes.length - 2, 'codes'],
    ]),
    '',
    `in   ${show(values)}, ...`,
    `out  ${show(back)}, ...`,
    `largest error ${worst.toPrecision(3)}, bound ${FORMATS[dtype].worstCaseError(1.6).toPrecision(3)}`,
  ]);
}

function tensorTypes(): string {
  const rows = [...GGML_TYPES].map(([number, { name, blockSize, blockBytes }]) => {
    const perWeight = (nBytes: number, nWeights: number): string => `${(8 * nBytes) / nWeights}`;
    const row = [number, `\`${name}\``, blockSize, blockBytes, perWeight(blockBytes, blockSize)];
    if (!Object.hasOwn(DTYPES, name)) return [...row, '', ''];
    const dtype = name as DType;
    const inMemory = perWeight(packedBytes(dtype, panelRows(dtype), blockSize), panelRows(dtype) * blockSize);
    return [...row, takesQ8(dtype) ? `blocks of ${blockSize}` : 'as they are', inMemory];
  });
  const memory = 'bits a weight in memory';
  return table(
    ['number', 'name', 'elements a block', 'bytes a block', 'bits a weight', 'q8 activations', memory],
    rows,
  );
}

/** w[o, k] = 10 o + k as [3, 4], packed by the real kernel. */
async function panelExample(): Promise<string> {
  const [nOut, nIn] = [3, 4];
  const w = Float32Array.from({ length: nOut * nIn }, (_, i) => 10 * Math.floor(i / nIn) + (i % nIn));
  const { kernels, arena } = await instantiateKernels(createNodeHost(), 'simd', ['f32']);
  const address = arena.alloc(packedBytes('f32', nOut, nIn));
  packBytes(new Uint8Array(w.buffer), 'f32', nOut, nIn, address, kernels, arena);
  const rows = panelRows('f32');
  const lines = Array.from({ length: nIn }, (_, k) => {
    const lanes = Array.from(arena.f32(address + 4 * k * rows, rows), (v) => String(v).padStart(2));
    return `k = ${k}   ${lanes.slice(0, 4).join(' ')} | ${lanes.slice(4).join(' ')}`;
  });
  arena.dispose();
  return fence('text', lines);
}

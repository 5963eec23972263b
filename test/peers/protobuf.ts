/** Just enough of protobuf's wire format to write a small ONNX model. Source: protobuf.dev, "Encoding". */

type Field = readonly number[] | Uint8Array;

/** A field that holds a number. */
export function varintField(number: number, value: number): Field {
  return [...varint(number << 3), ...varint(value)];
}

/** A field that holds text, bytes or a message. */
export function bytesField(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return message([...varint((number << 3) | 2), ...varint(bytes.length)], bytes);
}

/** Fields, one after the other. */
export function message(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(fields.reduce((n, f) => n + f.length, 0));
  let at = 0;
  for (const field of fields) {
    out.set(field, at);
    at += field.length;
  }
  return out;
}

/** Seven bits a byte, the lowest first; all but the last byte have the top bit set. n: an integer from 0. */
function varint(n: number): number[] {
  const bytes: number[] = [];
  for (let rest = n; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

import { f16ToF32 } from '../../src/core/half.ts';
import { bytesField, message, varintField } from './protobuf.ts';

/** Numbers of onnx.proto3: TensorProto.DataType, AttributeProto.AttributeType. */
const FLOAT = 1;
const UINT8 = 2;
const INT_ATTRIBUTE = 2;
const IR_VERSION = 8;
const OPSET_VERSION = 13;
/** Elements that share a scale, as in q4_0. */
const BLOCK_SIZE = 32;

/**
 * An ONNX model of one node: y = MatMulNBits(x, w).  x: f32 [nRows, nIn].  w: 4-bit codes [nOut, nIn] with a scale for each 32
 * of a row and the offset 8, as q4_0 has them, a constant.
 *
 * codes: [nOut, nIn / 32, 16], two codes a byte.  scales: [nOut, nIn / 32].  accuracyLevel: 0 leaves the choice to the runtime,
 * 4 lets it round x to int8.
 * Source: onnx/onnx.proto3; onnxruntime's docs/ContribOperators.md, com.microsoft.MatMulNBits.
 */
export function onnxMatMul4Bit(
  nRows: number,
  nIn: number,
  nOut: number,
  codes: Uint8Array,
  scales: Float32Array,
  accuracyLevel: 0 | 4,
): Uint8Array<ArrayBuffer> {
  const nBlocks = nIn / BLOCK_SIZE;
  const attributes = { K: nIn, N: nOut, bits: 4, block_size: BLOCK_SIZE, accuracy_level: accuracyLevel };
  const node = message(
    bytesField(1, 'x'),
    bytesField(1, 'codes'),
    bytesField(1, 'scales'),
    bytesField(2, 'y'),
    bytesField(4, 'MatMulNBits'),
    ...Object.entries(attributes).map(([name, value]) =>
      bytesField(5, message(bytesField(1, name), varintField(3, value), varintField(20, INT_ATTRIBUTE))),
    ),
    bytesField(7, 'com.microsoft'),
  );
  const graph = message(
    bytesField(1, node),
    bytesField(2, 'matmul'),
    bytesField(5, constant('codes', UINT8, [nOut, nBlocks, BLOCK_SIZE / 2], codes)),
    bytesField(5, constant('scales', FLOAT, [nOut * nBlocks], bytesOf(scales))),
    bytesField(11, valueInfo('x', [nRows, nIn])),
    bytesField(12, valueInfo('y', [nRows, nOut])),
  );
  const opsets = [message(bytesField(1, ''), varintField(2, OPSET_VERSION))];
  opsets.push(message(bytesField(1, 'com.microsoft'), varintField(2, 1)));
  return message(varintField(1, IR_VERSION), bytesField(7, graph), ...opsets.map((opset) => bytesField(8, opset)));
}

function constant(name: string, type: number, dims: readonly number[], bytes: Uint8Array): Uint8Array {
  const sizes = dims.map((dim) => varintField(1, dim));
  return message(...sizes, varintField(2, type), bytesField(8, name), bytesField(9, bytes));
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dims = message(...shape.map((dim) => bytesField(1, message(varintField(1, dim)))));
  const tensorType = message(varintField(1, FLOAT), bytesField(2, dims));
  return message(bytesField(1, name), bytesField(2, message(bytesField(1, tensorType))));
}

const Q4_0_BYTES = 18;

/** What q4_0 blocks hold, as MatMulNBits wants it: neighbours share a byte, the first in the low half; scales apart, in f32. */
export function fromQ4_0(bytes: Uint8Array): { codes: Uint8Array; scales: Float32Array } {
  const nBlocks = bytes.length / Q4_0_BYTES;
  const codes = new Uint8Array((nBlocks * BLOCK_SIZE) / 2);
  const scales = new Float32Array(nBlocks);
  for (let block = 0; block < nBlocks; block++) {
    const at = block * Q4_0_BYTES;
    scales[block] = f16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
    // q4_0 has element i in the low half of byte i, element 16 + i in its high half.
    const codeAt = (i: number): number => (bytes[at + 2 + (i & 15)]! >>> (i < 16 ? 0 : 4)) & 0x0f;
    for (let i = 0; i < BLOCK_SIZE; i += 2) {
      codes[(block * BLOCK_SIZE + i) / 2] = codeAt(i) | (codeAt(i + 1) << 4);
    }
  }
  return { codes, scales };
}

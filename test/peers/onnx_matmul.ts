import { bytesField, message, varintField } from './protobuf.ts';

/** Numbers of onnx.proto3: TensorProto.DataType, and the versions that a MatMul of f32 needs. */
const FLOAT = 1;
const IR_VERSION = 8;
const OPSET_VERSION = 13;

/**
 * An ONNX model of one node: y = MatMul(x, w).  x: f32 [nRows, nIn].  w: f32 [nIn, nOut], a constant, so that the runtime may
 * pack it as it likes.
 * Source: onnx/onnx.proto3, field numbers of ModelProto, GraphProto, NodeProto, TensorProto and ValueInfoProto.
 */
export function onnxMatMul(nRows: number, nIn: number, nOut: number, w: Float32Array): Uint8Array<ArrayBuffer> {
  const node = message(bytesField(1, 'x'), bytesField(1, 'w'), bytesField(2, 'y'), bytesField(4, 'MatMul'));
  const initializer = message(
    varintField(1, nIn),
    varintField(1, nOut),
    varintField(2, FLOAT),
    bytesField(8, 'w'),
    bytesField(9, new Uint8Array(w.buffer, w.byteOffset, w.byteLength)),
  );
  const graph = message(
    bytesField(1, node),
    bytesField(2, 'matmul'),
    bytesField(5, initializer),
    bytesField(11, valueInfo('x', [nRows, nIn])),
    bytesField(12, valueInfo('y', [nRows, nOut])),
  );
  const opset = message(bytesField(1, ''), varintField(2, OPSET_VERSION));
  return message(varintField(1, IR_VERSION), bytesField(7, graph), bytesField(8, opset));
}

function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dims = message(...shape.map((dim) => bytesField(1, message(varintField(1, dim)))));
  const tensorType = message(varintField(1, FLOAT), bytesField(2, dims));
  return message(bytesField(1, name), bytesField(2, message(bytesField(1, tensorType))));
}

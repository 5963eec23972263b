import type { EncoderArchitecture } from './encoder.ts';
import { poolingOf } from './encoder_config.ts';
import { buildT5Rows } from './t5.ts';
import { t5EncoderTensorsOfGguf, t5StackFromGguf } from './t5_gguf.ts';

const GGUF_NAME = 't5encoder';

/** The encoder of a T5 alone, as files of architecture "t5encoder" have it. They seldom say how rows become a vector. */
export const t5Encoder: EncoderArchitecture = {
  fromGguf({ metadata, tensors }) {
    const stack = t5StackFromGguf(metadata, tensors, GGUF_NAME);
    const { nEncoderLayers: nLayers, trainedLength: maxContext } = stack;
    return {
      config: { ...stack, nLayers, maxContext },
      pooling: poolingOf(metadata, GGUF_NAME),
      buildGraph: (given, activations) => buildT5Rows(stack, given, activations),
    };
  },
  tensorsOf: ({ metadata, tensors }) => t5EncoderTensorsOfGguf(t5StackFromGguf(metadata, tensors, GGUF_NAME), tensors),
};

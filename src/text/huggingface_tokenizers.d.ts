export {};

/**
 * The parts of @huggingface/tokenizers 0.2 that text_steps.ts uses. The package's own declarations name their files without
 * extensions, which the module resolution of Node does not follow, so TypeScript sees nothing of them.
 */
declare module '@huggingface/tokenizers' {
  export class SequenceNormalizer {
    constructor(config: { type: 'Sequence'; normalizers: readonly object[] });
    normalize(text: string): string;
  }
  export class SequencePreTokenizer {
    constructor(config: { type: 'Sequence'; pretokenizers: readonly object[] });
    pre_tokenize_text(text: string, options: { section_index: number }): string[];
  }
}

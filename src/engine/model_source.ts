import type { ByteSource, SourceFolder } from '../core/host.ts';

/** Where a model lies, as a platform opened it: one file (and what is beside it), or a Hugging Face folder. */
export type ModelSource =
  | { readonly kind: 'file'; readonly source: ByteSource; readonly folder?: SourceFolder }
  | { readonly kind: 'folder'; readonly folder: SourceFolder };

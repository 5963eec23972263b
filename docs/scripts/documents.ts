import { readFileSync } from 'node:fs';
import { formatRegions } from './formats.ts';
import { graphRegions } from './graph.ts';
import { kernelRegions } from './kernels.ts';
import { kvcacheRegions } from './kvcache.ts';
import { modelRegions } from './models.ts';
import { type ModelPath, numericsRegions } from './numerics.ts';
import { writeRegions } from './regions.ts';
import { ROOT } from './root.ts';
import { quoteSource } from './source_quote.ts';
import { tourRegions } from './tour.ts';

/** A document with regions that a script writes. */
export interface GeneratedDocument {
  readonly path: string;
  /** Texts by region name. A region that is missing keeps its text: what it needs is not on this machine. */
  regions(modelPath?: ModelPath): Promise<ReadonlyMap<string, string>>;
  /** Regions that may be missing. */
  readonly optional: readonly string[];
  /** It runs models for seconds: its test is a long one. */
  readonly isSlow?: boolean;
}

const plain = (path: string, regions: () => Promise<ReadonlyMap<string, string>>): GeneratedDocument => ({
  path,
  regions,
  optional: [],
});

export const DOCUMENTS: readonly GeneratedDocument[] = [
  plain('docs/tour.md', tourRegions),
  {
    path: 'docs/numerics.md',
    isSlow: true,
    regions: numericsRegions,
    optional: ['distance of other models', 'bounds of other models'],
  },
  plain('docs/formats.md', formatRegions),
  plain('docs/graph.md', graphRegions),
  { path: 'docs/kvcache.md', isSlow: true, regions: kvcacheRegions, optional: ['losses on other texts'] },
  plain('docs/kernels.md', kernelRegions),
  { ...plain('docs/models.md', modelRegions), isSlow: true },
  plain('docs/loading.md', async () => new Map()),
];

export function readDocument(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/**
 * The document as the script writes it today. Lines of sources are quoted in any document.
 * Throws Error for a region that nothing writes, and for a text that the document has no place for.
 */
export async function rewritten(document: GeneratedDocument, text: string, modelPath?: ModelPath): Promise<string> {
  const regions = new Map(await document.regions(modelPath));
  const used = new Set<string>();
  const result = await writeRegions(text, async (name) => {
    used.add(name);
    const found = regions.get(name) ?? quoteSource(name);
    if (found === undefined && !document.optional.includes(name)) throw new Error(`no script writes "${name}"`);
    return found;
  });
  const unused = [...regions.keys()].filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`has no place for ${unused.join(', ')}`);
  return result;
}

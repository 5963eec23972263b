import { ladderRegions } from '../../test/bench/ladder_report.ts';

/** The regions of docs/kernels.md: figures of stored runs ("npm run bench -- --only ladder" measures), and quoted sources. */
export async function kernelRegions(): Promise<ReadonlyMap<string, string>> {
  return ladderRegions();
}

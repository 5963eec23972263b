import { withModel } from './run_model.ts';
import { attentionRegions } from './tour_attention.ts';
import { cacheRegions } from './tour_cache.ts';
import { feedForwardRegions } from './tour_feed_forward.ts';
import { projectionRegions } from './tour_projections.ts';
import { startWalk } from './tour_start.ts';
import { choiceRegions, textRegions } from './tour_text.ts';

/** The regions of docs/tour.md: one prompt through the embedded model, every number taken from the run. */
export async function tourRegions(): Promise<ReadonlyMap<string, string>> {
  return withModel('embedded', async (opened) => {
    const walk = await startWalk(opened);
    return new Map([
      ...textRegions(walk),
      ...cacheRegions(walk),
      ...projectionRegions(walk),
      ...attentionRegions(walk),
      ...feedForwardRegions(walk),
      ...(await choiceRegions(walk)),
    ]);
  });
}

import fc from 'fast-check';
import { test } from 'vitest';
import { losses, play, steps } from './lossy_history.ts';

/** The histories of lossy.test.ts, many more of them. */

test('every row that a later one sees is there, rounded when its page is cold; memory is bounded', () => {
  fc.assert(
    fc.property(losses, steps, (loss, story) => void play(loss, story)),
    { numRuns: 600, seed: 9 },
  );
});

test('an allocation that fails, whichever it is, changes nothing and loses nothing', () => {
  fc.assert(
    fc.property(losses, steps, (loss, story) => {
      const nAllocs = play(loss, story.slice(0, 5));
      for (let k = 0; k < nAllocs; k++) play(loss, story.slice(0, 5), k);
    }),
    { numRuns: 60, seed: 10 },
  );
});

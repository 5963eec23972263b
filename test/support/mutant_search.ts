/**
 * How fast-check looks for a case in which a planted mistake shows: always through the same cases, until the first one. So many that a
 * mutant which is rarely wrong is found too; that the search fails then says something about the test, not about its luck.
 */
export const SEARCH = { numRuns: 5000, seed: 1, endOnFailure: true } as const;

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';

/** The project's root. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Large fixtures live beside the checkout and are optional: GLASSFORMER_FIXTURES, else ../shared/fixtures. */
const FIXTURES = process.env['GLASSFORMER_FIXTURES'] ?? join(ROOT, '..', 'shared', 'fixtures');

/** Path of a file or folder among the optional fixtures. */
export function fixture(...parts: string[]): string {
  return join(FIXTURES, ...parts);
}

export function readFixtureJson<T>(...parts: string[]): T {
  return JSON.parse(readFileSync(fixture(...parts), 'utf8')) as T;
}

/**
 * A group of tests that need the fixture folder `name`. Where it is missing, one skipped test says so by name.
 */
export function describeWithFixture(name: string, title: string, body: () => void): void {
  if (existsSync(fixture(name))) describe(title, body);
  else
    describe(title, () => {
      test(`SKIPPED: optional fixture "${name}" is not there (set GLASSFORMER_FIXTURES)`, (context) => {
        context.skip(`optional fixture ${name} is missing`);
      });
    });
}

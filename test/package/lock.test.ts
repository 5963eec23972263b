import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/fixtures.ts';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optionalDependencies?: object }>>;
}

/**
 * `npm ci` refuses a lock file without the packages for other platforms, and npm leaves those out which its registry did not
 * have when it wrote the file. An entry of name, version, os and cpu is enough.
 */
function missingFrom({ packages }: Lock): string[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined && packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
}

test.each(['.', 'test/hosts/runtimes', 'test/peers'])(
  'the lock file of %s has every package, of all platforms',
  (folder) => {
    const lock = JSON.parse(readFileSync(join(ROOT, folder, 'package-lock.json'), 'utf8')) as Lock;
    expect(Object.keys(lock.packages).length).toBeGreaterThan(1);
    expect(missingFrom(lock)).toEqual([]);
  },
);

test('and one without is caught', () => {
  const owner = { version: '1.0.0', optionalDependencies: { here: '1.0.0', gone: '1.0.0' } };
  expect(missingFrom({ packages: { 'node_modules/a': owner, 'node_modules/here': { version: '1.0.0' } } })).toEqual([
    'gone',
  ]);
});

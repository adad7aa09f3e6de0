import { describe, expect, it } from 'vitest';
import { textOf } from './repository-files.ts';

interface LockedPackage {
  integrity?: string;
  resolved?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const { packages } = JSON.parse(await textOf('package-lock.json')) as {
  packages: Record<string, LockedPackage>;
};
const installed = Object.entries(packages).filter(([at]) => at !== '');

/** Whether `name` is locked where a package at `at` would find it: beside it or in a folder above. */
function isLocked(at: string, name: string): boolean {
  const parents = at.split('node_modules/').slice(0, -1);
  const places = [
    `${at}/`,
    ...parents.map((_, depth) => parents.slice(0, depth + 1).join('node_modules/')),
  ];
  return places.some((place) => `${place === '/' ? '' : place}node_modules/${name}` in packages);
}

/** lockfile-lint passes over entries that have no such field; these tests don't. */
describe('the lockfile', () => {
  it('pins the content of every package', () => {
    expect(installed.length).toBeGreaterThan(100);
    const unpinned = installed.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
    expect(unpinned.map(([at]) => at)).toEqual([]);
  });

  it('names no other registry than the public one', () => {
    const elsewhere = installed.filter(
      ([, { resolved }]) => resolved?.startsWith('https://registry.npmjs.org/') === false,
    );
    expect(elsewhere.map(([at, { resolved }]) => `${at}: ${resolved ?? ''}`)).toEqual([]);
  });

  it('holds every package that another one asks for, also those of other platforms', () => {
    // `npm ci` refuses a lockfile that misses one, whatever the platform.
    const missing = Object.entries(packages).flatMap(
      ([at, { dependencies, optionalDependencies }]) =>
        Object.keys({ ...dependencies, ...optionalDependencies })
          .filter((name) => !isLocked(at, name))
          .map((name) => `${at} needs ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { bounds } from '../../src/bounds.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { sourceFiles, textOf } from './repository-files.ts';

const page = await textOf('docs/bounds.md');

/** Name and value of each row, as `docs/bounds.md` tells them. */
const told = new Map(
  [...page.matchAll(/^\| `(\w+\.\w+)` +\| ([\d,]+) +\|/gmu)].map(([, name = '', value = '']) => [
    name,
    Number(value.replaceAll(',', '')),
  ]),
);

function boundsByName(): Map<string, number> {
  return new Map(
    Object.entries(bounds).flatMap(([group, members]) =>
      Object.entries(members).map(([name, value]) => [`${group}.${name}`, value as number]),
    ),
  );
}

describe('docs/bounds.md', () => {
  it('tells every bound as it is, and no other', () => {
    expect(boundsByName().size).toBeGreaterThan(30);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(boundsByName()));
  });

  it('tells how long a request may take', () => {
    const loaded = loadConfiguration({});
    const seconds = loaded.ok ? loaded.configuration.requestSeconds : Number.NaN;
    expect(page).toMatch(
      new RegExp(`^\\| \`COUNTERSIGN_REQUEST_TIME\` +\\| ${String(seconds)} s`, 'mu'),
    );
    expect(seconds * 1000).toBeLessThan(bounds.connections.silenceTimeoutMs);
  });
});

/** A size, depth or count of what comes from outside, as a number of its own. */
const ownBound =
  /\bmax(?:Body|Answer|List|File|Header|Request)?(?:Bytes|Depth|Fields|Headers|UrlLength)\s*[:=]\s*\d/u;

/** The published package is installed without the rest of src; what is redacted is our own log. */
const apart = ['src/bounds.ts', 'src/edge/resource-server/', 'src/observability/redact.ts'];

describe('the sources', () => {
  it('have their bounds in one place', async () => {
    const files = (await sourceFiles()).filter((file) => !apart.some((at) => file.startsWith(at)));
    const found = await Promise.all(
      files.map(async (file) =>
        (ownBound.exec(await textOf(file)) ?? []).length > 0 ? [file] : [],
      ),
    );
    expect(found.flat()).toEqual([]);
  });

  it.each([
    ['const maxBodyBytes = 16_384;', true],
    ['readJson(text, { maxDepth: 5 })', true],
    ['const limits = { maxBytes: 8 * 1024 };', true],
    ['maxBodyBytes: bounds.answers.maxBytes,', false],
    ['maxDepth: number;', false],
  ])('%s is one: %s', (line, isOne) => {
    expect(ownBound.test(line)).toBe(isOne);
  });
});

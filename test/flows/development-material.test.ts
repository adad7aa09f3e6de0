import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { developmentSecrets } from '../../src/development/material.ts';
import { createPrivateFiles } from '../../src/development/private-files.ts';
import { gatherMaterial } from '../../src/startup/material.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;

beforeAll(async () => {
  directory = await temporaryDirectory();
});

afterAll(() => directory.remove());

/** What stands against a start with these variables. */
async function problemsOf(environment: Record<string, string>): Promise<readonly string[]> {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) return loaded.problems;
  try {
    await gatherMaterial(loaded.configuration, systemClock);
    return [];
  } catch (error) {
    return (error as { problems: readonly string[] }).problems;
  }
}

describe('Production knows what development made', () => {
  it('by the secret itself, wherever it comes from', async () => {
    const elsewhere = developmentSecrets(
      createPrivateFiles(path.join(directory.path, 'elsewhere')),
    );
    const problems = await problemsOf({
      COUNTERSIGN_ENV: 'production',
      COUNTERSIGN_KEYS_DIRECTORY: path.join(directory.path, 'empty'),
      COUNTERSIGN_COOKIE_KEYS: elsewhere.cookieKey,
      COUNTERSIGN_ENCRYPTION_KEYS: elsewhere.encryptionKey,
      COUNTERSIGN_DIGEST_KEY: elsewhere.digestKey,
      COUNTERSIGN_MASTER_KEYS: elsewhere.masterKey,
      COUNTERSIGN_PAIRWISE_SALT: elsewhere.pairwiseSalt,
    });
    for (const name of [
      'COOKIE_KEYS',
      'ENCRYPTION_KEYS',
      'DIGEST_KEY',
      'MASTER_KEYS',
      'PAIRWISE_SALT',
    ]) {
      const told = `COUNTERSIGN_${name} is a secret that development created`;
      expect(problems).toContainEqual(expect.stringContaining(told));
    }
  });

  it('by the signing key', async () => {
    const COUNTERSIGN_KEYS_DIRECTORY = path.join(directory.path, 'keys');
    expect(await problemsOf({ COUNTERSIGN_KEYS_DIRECTORY })).toEqual([]);
    const problems = await problemsOf({
      COUNTERSIGN_ENV: 'production',
      COUNTERSIGN_KEYS_DIRECTORY,
    });
    expect(problems.join('\n')).toMatch(
      /signing key development-\S+ was created by development: remove it \(it lies in \S+\/signing\)/,
    );
  });
});

import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { findPlace } from '../database/embedded-place.ts';
import type { Logger } from '../observability/logger.ts';
import { keyRingProblems } from '../signing-keys/key-ring.ts';
import { connectionOf, hasSigningKey, pendingConfigured } from '../startup/database.ts';
import { keyFilesOf } from '../startup/material.ts';
import { commandLogger, configurationOf } from './context.ts';
import type { Shell } from './shell.ts';

/** What the database says. */
export interface Stored {
  /** Where the embedded one lies, and whether it has been made; undefined for a database of the operator's. */
  embedded?: { directory: string; made: boolean };
  /** Names of the migrations that it lacks; none where it is not made yet. */
  pending: string[];
  /** Whether a key signs that is in the ring, or that a start takes over from a file or, in development, makes. */
  signingKey: boolean;
}

/**
 * Asks the configured database, and leaves it as it was: the embedded one is stopped again, and tried in a temporary
 * folder where there is none yet. Rejects when it does not answer or does not start.
 */
export async function storedIn(shell: Shell): Promise<Stored> {
  const configuration = configurationOf(shell);
  const logger = commandLogger(shell, configuration);
  const { clock } = shell;
  if (configuration.databaseUrl !== undefined) return askDatabase(configuration, { clock, logger });
  const directory = path.resolve(configuration.dataDirectory, 'postgres');
  const place = existsSync(directory) ? findPlace(directory) : undefined;
  if (place !== undefined && existsSync(place.data)) {
    const asked = await askDatabase(configuration, { clock, logger });
    return { embedded: { directory: place.root, made: true }, ...asked };
  }
  await tryElsewhere(configuration, logger);
  const signingKey = await hasKeyWithoutRing(configuration, clock);
  return { embedded: { directory, made: false }, pending: [], signingKey };
}

async function askDatabase(
  configuration: Configuration,
  { clock, logger }: { clock: Clock; logger: Logger },
): Promise<Stored> {
  const { connection, stop } = await connectionOf(configuration, logger);
  try {
    const pending = await pendingConfigured(connection);
    const signingKey =
      (await hasKeyWithoutRing(configuration, clock)) ||
      (await hasSigningKey(configuration, { connection, pending }, logger));
    return { pending, signingKey };
  } finally {
    await stop();
  }
}

/** Whether a start has a key however empty the ring is. */
async function hasKeyWithoutRing(configuration: Configuration, clock: Clock): Promise<boolean> {
  const { environment, databaseUrl } = configuration;
  if (environment === 'development' && databaseUrl === undefined) return true;
  return keyRingProblems(await keyFilesOf(configuration, clock).list()).length === 0;
}

async function tryElsewhere(configuration: Configuration, logger: Logger): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'countersign-trial-'));
  try {
    // As root, Postgres runs as somebody else, who must get through.
    await chmod(directory, 0o711);
    const { stop } = await connectionOf({ ...configuration, dataDirectory: directory }, logger);
    await stop();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

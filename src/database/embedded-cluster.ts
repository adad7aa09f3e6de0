import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Problem } from '../problem.ts';
import type { Place } from './embedded-place.ts';
import { isAlive } from './embedded-pid-file.ts';

const INITDB_ARGUMENTS = [
  '--username=postgres',
  '--encoding=UTF8',
  '--locale=C',
  '--data-checksums',
  '--auth-local=trust', // the socket's folder is private
  '--auth-host=reject',
];

/** The programs get nothing of our environment: no PG* variable and no secret. */
export const PROGRAM_ENVIRONMENT = { TZ: 'UTC', LC_ALL: 'C' };

function runInitdb(initdb: string, directory: string, { account }: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (detail: string) => {
      reject(new Problem('embedded_database_failed', { detail: `${initdb}: ${detail.trim()}` }));
    };
    const child = spawn(initdb, [...INITDB_ARGUMENTS, '--pgdata', directory], {
      ...account,
      cwd: '/',
      env: PROGRAM_ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', (error) => {
      fail(error.message);
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else fail(output);
    });
  });
}

/** Removes what an initialisation left behind whose process has died. */
async function removeAbandoned({ root, data }: Place): Promise<void> {
  const prefix = `${basename(data)}.new-`;
  const abandoned = readdirSync(root).filter(
    (name) => name.startsWith(prefix) && !isAlive(Number(name.slice(prefix.length))),
  );
  await Promise.all(
    abandoned.map((name) => rm(join(root, name), { recursive: true, force: true })),
  );
}

/**
 * Creates the cluster unless it is there: beside and renamed, so that a crash leaves no half of one and of several
 * processes exactly one wins.
 * @throws Problem embedded_database_failed with what initdb said
 */
export async function ensureCluster(initdb: string, place: Place): Promise<void> {
  if (existsSync(join(place.data, 'PG_VERSION'))) return;
  await removeAbandoned(place);
  const beside = `${place.data}.new-${String(process.pid)}`;
  mkdirSync(beside, { mode: 0o700 });
  if (place.account !== undefined) chownSync(beside, place.account.uid, place.account.gid);
  try {
    await runInitdb(initdb, beside, place);
    await rename(beside, place.data);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    if (!existsSync(join(place.data, 'PG_VERSION'))) throw error; // else another process was quicker
  }
}

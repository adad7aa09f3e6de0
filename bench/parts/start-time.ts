import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:https';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './world.ts';

const main = path.resolve(import.meta.dirname, '../../src/main.ts');
const pollMs = 5;
const timeoutMs = 60_000;

/**
 * Milliseconds from the start of `npm start`'s process to the first answer of discovery, for each of `times` starts on
 * a database and keys that an earlier start made.
 */
export async function measureStarts(
  directory: string,
  databaseUrl: string,
  times: number,
): Promise<number[]> {
  const ports = [await freePort(), await freePort(), await freePort()].map(String);
  const [port = '', mtlsPort = '', operationsPort = ''] = ports;
  const issuer = `https://localhost:${port}`;
  const environment = {
    DATABASE_URL: databaseUrl,
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_PORT: port,
    COUNTERSIGN_MTLS_ORIGIN: `https://localhost:${mtlsPort}`,
    COUNTERSIGN_MTLS_PORT: mtlsPort,
    COUNTERSIGN_OPERATIONS_PORT: operationsPort,
    COUNTERSIGN_KEYS_DIRECTORY: path.join(directory, 'keys'),
  };
  const taken: number[] = [];
  for (let start = 0; start <= times; start += 1) {
    taken.push(await measureStart(environment, issuer));
  }
  return taken.slice(1);
}

async function measureStart(environment: Record<string, string>, issuer: string): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--max-semi-space-size=8', main], {
    env: environment,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  try {
    while (!(await answers(issuer))) {
      if (child.exitCode !== null || performance.now() - startedAt > timeoutMs) {
        throw new Error('the server does not start');
      }
      await wait(pollMs);
    }
    return performance.now() - startedAt;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

function answers(issuer: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = `${issuer}/.well-known/openid-configuration`;
    // The development authority is made by the server that is being started.
    const request = get(url, { rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      response.once('end', () => {
        resolve(response.statusCode === 200);
      });
    });
    request.once('error', () => {
      resolve(false);
    });
  });
}

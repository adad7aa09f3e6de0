import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import { commandLine } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
let cli: CommandLine;

beforeEach(async () => {
  server = await startAuthorizationServer();
  cli = await commandLineBeside(server);
});

afterEach(async () => {
  await cli.remove();
  await server.stop();
});

interface Age {
  variable: string;
  use: string;
  state: string;
  ageDays?: number;
}

async function statusOf(line: CommandLine): Promise<Age[]> {
  const result = await line.run(['secrets', 'status', '--json']);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return result.json()['secrets'] as Age[];
}

it('secrets status says since when each value is in use, and which are due', async () => {
  const fresh = await statusOf(cli);
  expect(fresh.map(({ variable, state }) => [variable, state])).toEqual([
    ['COUNTERSIGN_MASTER_KEYS', 'fresh'],
    ['COUNTERSIGN_ENCRYPTION_KEYS', 'fresh'],
    ['COUNTERSIGN_DIGEST_KEY', 'fresh'],
  ]);
  await stored(
    server,
    `UPDATE secret_sightings SET first_seen_at = first_seen_at - interval '181 days'`,
  );
  const added = await commandLine({
    ...cli.environment,
    COUNTERSIGN_ENCRYPTION_KEYS: `${randomBytes(32).toString('base64url')},${cli.environment['COUNTERSIGN_ENCRYPTION_KEYS'] ?? ''}`,
  });
  expect(await statusOf(added)).toMatchObject([
    { variable: 'COUNTERSIGN_MASTER_KEYS', use: 'makes', state: 'overdue', ageDays: 181 },
    { variable: 'COUNTERSIGN_ENCRYPTION_KEYS', use: 'makes', state: 'unused' },
    { variable: 'COUNTERSIGN_ENCRYPTION_KEYS', use: 'accepts', state: 'due', ageDays: 181 },
    { variable: 'COUNTERSIGN_DIGEST_KEY', use: 'makes', state: 'due', ageDays: 181 },
  ]);
  await added.remove();
});

it('secrets status says where development keeps its own, and what no setting gives', async () => {
  const own = await commandLine();
  const file = path.join(own.keysDirectory, 'secrets.json');
  const { exitCode, output } = await own.run(['secrets', 'status']);
  expect([exitCode, output]).toEqual([
    0,
    `Secrets that no setting gives are made by development itself, in ${file}: their age does not count, and none of them has to be replaced.\n`,
  ]);
  const { json } = await own.run(['secrets', 'status', '--json']);
  expect(json()).toEqual({ secrets: [], createdFile: file });
  await own.remove();
  // Three of five are set.
  const some = await cli.run(['secrets', 'status']);
  expect(some.output).toMatch(/COUNTERSIGN_MASTER_KEYS/);
  expect(some.output).toContain(`in ${path.join(cli.keysDirectory, 'secrets.json')}`);
});

it('secrets status shows no secret, and neither does what is stored of them', async () => {
  const { output } = await cli.run(['secrets', 'status']);
  const kept = JSON.stringify(await stored(server, 'SELECT * FROM secret_sightings'));
  expect(output).toMatch(/COUNTERSIGN_MASTER_KEYS +[\da-f]{8} +makes +0 days +90 days +fresh/);
  const { masterKeys, cookieKeys, encryptionKeys, digestKey, pairwiseSalt } = server.material;
  for (const key of [...masterKeys, ...cookieKeys, ...encryptionKeys, digestKey, pairwiseSalt]) {
    for (const text of [key.toString('base64url').slice(0, 12), key.toString('hex').slice(0, 12)]) {
      expect(output + kept).not.toContain(text);
    }
  }
});

it('a server that starts with a secret that is due says so', async () => {
  await stored(
    server,
    `UPDATE secret_sightings SET first_seen_at = first_seen_at - interval '91 days'`,
  );
  const second = await startAuthorizationServer({ beside: server });
  const log = await second.log.raw();
  await second.stop();
  const due = log.split('\n').filter((line) => line.includes('A secret is due to be replaced'));
  expect(due.join('\n')).toContain('COUNTERSIGN_COOKIE_KEYS');
  expect(due.join('\n')).toContain('COUNTERSIGN_MASTER_KEYS');
  expect(due).toHaveLength(2);
});

import { randomBytes } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { textOf } from '../architecture/repository-files.ts';
import { commandLine, commandLineBeside } from '../support/command-line.ts';
import type { CommandLine, CommandResult } from '../support/command-line.ts';
import { discoverWeb, obtainTokens } from '../support/journey.ts';
import { kidsOf, verifies } from '../support/key-ring.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { kidOf } from '../support/signing-world.ts';
import { introspect, machineTokens } from '../support/tokens.ts';

const within = { timeout: 5000, interval: 20 };

/** The drill's steps, each with the commands that it tells to run. */
async function stepsOfDrill(): Promise<string[][]> {
  const guide = await textOf('docs/operations.md');
  const [, section = ''] = /\n### A compromised key\n([\s\S]*?)\n###? /.exec(guide) ?? [];
  return section
    .split(/\n(?=\d+\. )/)
    .slice(1)
    .map((step) =>
      [...step.matchAll(/^ +npm run countersign -- (.+)$/gm)].map(([, line = '']) => line),
    );
}

/** The first one of all, whose database the later ones have. */
let ground: AuthorizationServer;
let first: AuthorizationServer;
let second: AuthorizationServer;
let cli: CommandLine;

beforeAll(async () => {
  ground = await startAuthorizationServer({ algorithms: ['ES256'] });
  first = ground;
  second = await startAuthorizationServer({ beside: first });
  cli = await commandLineBeside(first);
});

afterAll(async () => {
  await cli.remove();
  await second.stop();
  await first.running.stop();
  await ground.database.close();
});

async function run(line: string, kid = ''): Promise<CommandResult> {
  const words = line.replace('<kid>', kid).split(' ');
  const at = words.indexOf(kid);
  const result = await cli.run(at < 0 ? words : [...words.slice(0, at), '--', kid]);
  expect([line, result.exitCode, result.errors]).toEqual([line, 0, '']);
  return result;
}

/** Both servers once more, with other master keys. */
async function restartWith(masterKeys: readonly Buffer[]): Promise<void> {
  const beside = { ...ground, material: { ...ground.material, masterKeys } };
  await second.stop();
  second = await startAuthorizationServer({ beside });
  const next = await startAuthorizationServer({ beside });
  await first.running.stop();
  first = next;
}

const masterKeysOf = (keys: readonly Buffer[]) =>
  keys.map((key) => key.toString('base64url')).join(',');

it('The compromise drill works as it is written, on two servers, to its end', async () => {
  const steps = await stepsOfDrill();
  expect(steps.map(({ length }) => length)).toEqual([2, 1, 0, 2, 2]);
  const command = (step: number, index: number) => String(steps[step - 1]?.[index]);

  const configuration = await discoverWeb(first);
  const parameters = { redirect_uri: 'https://web.example.com/callback', scope: 'openid accounts' };
  const tokens = await obtainTokens(first, configuration, { parameters });
  const stolen = kidOf(tokens.access_token);

  // 1: another key signs in its place.
  expect((await run(command(1, 0))).output).toContain(stolen);
  await run(command(1, 1), stolen);

  // 2: it is gone everywhere, with what it signed; a refresh token still gives a new one.
  for (const server of [first, second]) {
    await expect.poll(() => kidsOf(server), within).not.toContain(stolen);
    expect(await verifies(server, tokens.access_token)).toBe(false);
    expect((await introspect(first, tokens.access_token, { at: server })).body).toEqual({
      active: false,
    });
  }
  const { output } = await run(command(2, 0));
  expect(output).not.toContain(stolen);
  expect(output.match(/ yes +\d{4}-/g)).toHaveLength(2);
  const renewed = await openid.refreshTokenGrant(configuration, String(tokens.refresh_token));
  expect(await verifies(second, renewed.access_token)).toBe(true);

  // 3: what resource servers are told to keep the key set for.
  const jwks = await first.fetch()(`${first.issuer}/jwks`);
  expect(jwks.headers.get('cache-control')).toMatch(/max-age=300/);

  // 4: a new master key, and everything that the old one opened replaced.
  const newKey = randomBytes(32);
  const before = await kidsOf(first);
  await restartWith([newKey, ...ground.material.masterKeys]);
  const environment = { ...cli.environment };
  await cli.remove();
  cli = await commandLine({
    ...environment,
    COUNTERSIGN_MASTER_KEYS: masterKeysOf([newKey, ...ground.material.masterKeys]),
  });
  await run(command(4, 0));
  for (const algorithm of ['RS256', 'ES256']) await run(command(4, 1).replace('RS256', algorithm));
  await cli.remove();
  cli = await commandLine({ ...environment, COUNTERSIGN_MASTER_KEYS: masterKeysOf([newKey]) });
  await restartWith([newKey]);
  const { jwt } = await machineTokens(first, 'web');
  expect(before).not.toContain(kidOf(jwt));
  expect(await verifies(second, jwt)).toBe(true);

  // 5: the trail has it.
  await first.running.app.audit.flush();
  expect((await run(command(5, 0))).output).toContain(stolen);
  expect((await run(command(5, 1))).output).toContain('token.issued');
}, 120_000);

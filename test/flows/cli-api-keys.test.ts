import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { systemClock } from '../../src/clock.ts';
import { bankApi, otherApi, startKeyServer } from '../support/api-keys.ts';
import type { KeyServer } from '../support/api-keys.ts';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { rows } from '../support/protocol.ts';
import { recordingStream } from '../support/recording-logger.ts';

let world: KeyServer;
let cli: CommandLine;

/** As the process does it, but within this one, which starts in no time. */
async function run(words: readonly string[]) {
  const [output, errors] = [recordingStream(), recordingStream()];
  const exitCode = await runCommandLine(words, {
    environment: cli.environment,
    input: new PassThrough() as unknown as NodeJS.ReadStream,
    output: output.stream,
    errors: errors.stream,
    clock: systemClock,
  });
  const json = () => JSON.parse(output.text()) as Record<string, unknown>;
  return { exitCode, output: output.text(), errors: errors.text(), json };
}

beforeAll(async () => {
  world = await startKeyServer();
  cli = await commandLineBeside(world.server);
});

afterAll(async () => {
  await cli.remove();
  await world.server.stop();
});

const create = (...more: string[]) => [
  ...['api-keys', 'create', '--name', 'from the desk', '--expires-in', '86400', ...more],
];

it('An operator makes, sees, rotates and ends a client’s key', async () => {
  const made = await run(
    create(
      ...['--client', 'keys-tpp', '--allow', `${bankApi}=accounts payments`],
      ...['--allow', `${otherApi}=statements`, '--limit', '100/60'],
      ...['--address', '192.0.2.0/24', '127.0.0.1', '--json'],
    ),
  );
  expect(made).toMatchObject({ exitCode: 0, errors: '' });
  const { key, apiKey } = made.json() as { key: string; apiKey: { id: string } };
  const { id } = apiKey;
  const verified = await world.verify(key, { address: '192.0.2.1' });
  expect(verified.body).toMatchObject({
    ...{ active: true, id, scopes: ['accounts', 'payments'] },
    rate_limit: { requests: 100, seconds: 60 },
  });

  const listed = await run(['api-keys', 'list', '--client', 'keys-tpp']);
  expect(listed.output).toMatch(new RegExp(`${id} +${key.slice(0, 14)} +from the desk +keys-tpp`));
  const shown = await run(['api-keys', 'show', id]);
  expect(shown.output).toMatch(/limit +100 in 60 s/);
  expect(shown.output + listed.output).not.toContain(key.slice(14));

  const rotated = await run(['api-keys', 'rotate', id, '--overlap', '3600', '--json']);
  const successor = rotated.json() as { key: string; apiKey: { id: string } };
  const address = '192.0.2.1';
  expect((await world.verify(key, { address })).body['successor']).toBe(successor.apiKey.id);
  expect((await world.verify(successor.key, { address })).body['active']).toBe(true);
  const twice = await run(['api-keys', 'rotate', id, '--overlap', '3600']);
  expect(twice).toMatchObject({ exitCode: 1, output: '' });
  expect(twice.errors).toContain('not in a state');

  const revoked = await run(['api-keys', 'revoke', successor.apiKey.id]);
  expect(revoked.output).toContain('is revoked');
  expect((await world.verify(successor.key, { address })).body).toEqual({ active: false });

  const ended = await run(['api-keys', 'list', '--client', 'keys-tpp', '--json']);
  const keys = ended.json()['apiKeys'] as Record<string, string>[];
  const { revokedAt, expiresAt } = keys.find((each) => each['id'] === successor.apiKey.id) ?? {};
  const { output } = await run(['api-keys', 'list', '--client', 'keys-tpp']);
  const line = output.split('\n').find((each) => each.startsWith(successor.apiKey.id));
  expect(line).toContain(String(revokedAt));
  expect(line).not.toContain(String(expiresAt));

  await world.server.running.app.apiKeys.flush();
  const usage = await run(['api-keys', 'usage', id, '--json']);
  expect(usage.json()['days']).toMatchObject([{ resourceServer: bankApi, accepted: 2 }]);
  const audited = await rows(
    world.server,
    `SELECT type, client_id, detail->>'name' AS name, detail->>'predecessor' AS predecessor FROM audit_events WHERE actor_type = 'operator' AND client_id = 'keys-tpp' AND type LIKE 'api_key.%' ORDER BY at`,
  );
  expect(audited).toEqual(
    ['created', 'rotated', 'revoked'].map((what) => ({
      ...{ type: `api_key.${what}`, client_id: 'keys-tpp', name: 'from the desk' },
      predecessor: what === 'rotated' ? id : null,
    })),
  );
});

it('A key of the bank’s own may have any scope that there is, and no other', async () => {
  const words = create('--operator', '--allow', `${otherApi}=statements`);
  const made = await run([...words, '--json']);
  const verified = await world.verify((made.json() as { key: string }).key, {
    as: 'other-keys-rs',
  });
  expect(verified.body).toMatchObject({ active: true, owner: { type: 'operator' } });
  const listed = await run(['api-keys', 'list', '--operator']);
  expect(listed.output).toContain('(operator)');
  expect(listed.output).not.toContain('keys-tpp');
  const unknown = await run(create('--operator', '--allow', `${otherApi}=everything`));
  expect(unknown).toMatchObject({ exitCode: 1, output: '' });
  expect(unknown.errors).toContain('does not hold everything');
});

it.each([
  [1, ['--client', 'keys-other', '--allow', `${bankApi}=payments`], 'does not hold payments'],
  [1, ['--client', 'nobody', '--allow', `${bankApi}=accounts`], 'does not hold accounts'],
  [1, ['--operator', '--allow', `${bankApi}=accounts`, '--address', 'there'], 'addresses.0'],
  [2, ['--operator', '--client', 'keys-tpp', '--allow', 'x=y'], 'either'],
  [2, ['--allow', 'x=y'], 'either'],
  [2, ['--operator', '--allow', 'nothing'], 'equals sign'],
  [2, ['--operator', '--allow', 'x=y', '--limit', 'many'], '100/60'],
])('ends with %i for %j', async (exitCode, more, sentence) => {
  const refused = await run(create(...more));
  expect(refused).toMatchObject({ exitCode, output: '' });
  expect(refused.errors).toContain(sentence);
});

it('A client without keys has none, and an unknown one is called so', async () => {
  const none = await run(['api-keys', 'list', '--client', 'keys-rs', '--json']);
  expect(none).toMatchObject({ exitCode: 0, errors: '' });
  expect(none.json()).toEqual({ apiKeys: [] });
  for (const id of ['nobody', 'KEYS-RS', '']) {
    const unknown = await run(['api-keys', 'list', '--client', id]);
    expect(unknown).toMatchObject({ exitCode: 1, output: '' });
    expect(unknown.errors).toContain('There is no such client');
  }
});

it('A day is one of the calendar', async () => {
  for (const day of ['2026-02-31', '0000-01-01', 'today']) {
    const refused = await run(['api-keys', 'usage', crypto.randomUUID(), '--from', day]);
    expect(refused).toMatchObject({ exitCode: 2, output: '' });
    expect(refused.errors).toContain('must be a day');
  }
});

it('Without the key there is nothing to do', async () => {
  for (const words of [['show'], ['revoke'], ['usage'], ['rotate', '--overlap', '0']]) {
    const [name = '', ...options] = words;
    const refused = await run(['api-keys', name, crypto.randomUUID(), ...options]);
    expect(refused.exitCode).toBe(1);
    expect(refused.errors).toContain('There is no such API key');
  }
});

import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine, CommandResult } from '../support/command-line.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { authorizationRequest, discoverTpp } from '../support/openid.ts';
import { databaseText } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let cli: CommandLine;
let tpp: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  cli = await commandLineBeside(server);
  tpp = await discoverTpp(server);
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
});

async function done(words: readonly string[], input?: string): Promise<CommandResult> {
  const result = await cli.run(['customers', ...words], input);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return result;
}

interface Person {
  id: string;
  username: string;
  password: string;
}

async function add(username: string): Promise<Person> {
  const { json } = await done(['add', username, '--generate', '--json']);
  const { id } = json()['customer'] as { id: string };
  return { id, username, password: String(json()['password']) };
}

async function logIn({ username, password }: Omit<Person, 'id'>) {
  const request = await authorizationRequest(tpp, {
    redirect_uri: 'https://tpp.example.com/callback',
    scope: 'openid accounts',
    resource: accountsApi,
  });
  const agent = createCustomerAgent(server);
  const callback = await agent.authorize(request.url, { username, password });
  return openid.authorizationCodeGrant(tpp, callback, request.checks);
}

async function isRefused(person: Omit<Person, 'id'>): Promise<boolean> {
  const outcome = await logIn(person).then(
    () => 'in',
    (error: unknown) => String(error),
  );
  return outcome.includes('no redirect to the client');
}

async function refreshError(refreshToken: string | undefined): Promise<string> {
  try {
    await openid.refreshTokenGrant(tpp, refreshToken ?? '');
    return 'none';
  } catch (error) {
    return error instanceof openid.ResponseBodyError ? error.error : String(error);
  }
}

describe('A customer that an operator adds', () => {
  it('logs in with the password that was made', async () => {
    const person = await add('generated');
    const tokens = await logIn(person);
    expect(tokens.claims()?.sub).toBe(person.id);
  });

  it('has the claims that were given', async () => {
    const profile = ['--name', 'Robin Hill', '--email', 'robin@example.com', '--email-verified'];
    const { json } = await done(
      ['add', 'Robin', '--password-stdin', ...profile, '--json'],
      'a pass phrase of mine\n',
    );
    expect(json()).toEqual({
      customer: {
        id: expect.stringMatching(/^[\da-f-]{36}$/) as unknown,
        status: 'active',
        passwordChangedAt: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
        profile: {
          username: 'Robin',
          name: 'Robin Hill',
          email: 'robin@example.com',
          email_verified: true,
        },
      },
    });
    await logIn({ username: 'robin', password: 'a pass phrase of mine' });
    const { output } = await done(['show', 'robin']);
    expect(output).toMatch(/^email +robin@example\.com$/m);
  });

  it.each([
    [['add', 'casey', '--generate'], 'already a customer', 1],
    [['add', 'short', '--password-stdin'], 'too short', 1],
    [['add', 'mail', '--generate', '--email', 'nobody'], 'email', 1],
    [['add', 'asked'], 'no terminal', 2],
    [['add', 'both', '--generate', '--password-stdin'], 'either', 2],
    [['add', 'typed', '--password', 'a pass phrase'], "unknown option '--password'", 2],
    [['set-password', 'nobody-here', '--generate'], 'no such customer: nobody-here', 1],
    [['show', 'nobody-here'], 'no such customer: nobody-here', 1],
  ])('is refused when it is wrong: %j', async (words, reason, exitCode) => {
    const result = await cli.run(['customers', ...words], 'short');
    expect(result).toMatchObject({ exitCode, output: '' });
    expect(result.errors.toLowerCase()).toContain(reason.toLowerCase());
  });
});

describe('A new password', () => {
  it('logs in, the old one does not, and what was issued before ends', async () => {
    const person = await add('forgetful');
    const before = await logIn(person);
    expect(await refreshError(before.refresh_token)).toBe('none');

    const fresh = 'quite another pass phrase';
    await done(['set-password', 'forgetful', '--password-stdin'], `${fresh}\n`);
    expect(await refreshError(before.refresh_token)).toBe('invalid_grant');
    expect(await isRefused(person)).toBe(true);
    await logIn({ ...person, password: fresh });
  });

  it('is never kept or shown again', async () => {
    const person = await add('private');
    const { output } = await done(['set-password', person.id, '--generate']);
    const fresh = /^[\w-]{22}$/m.exec(output)?.[0] ?? 'none';
    await logIn({ ...person, password: fresh });
    const shown = await Promise.all([
      cli.run(['customers', 'list', '--json']),
      cli.run(['customers', 'show', 'private', '--json']),
      cli.run(['audit', 'list', '--customer', person.id, '--json']),
    ]);
    const texts = shown.map((result) => result.output + result.errors);
    expect(texts[1]).not.toMatch(/argon2|hash/i);
    expect(texts[2]).toContain('customer.password_changed');
    texts.push(await server.log.raw(), await databaseText(server));
    for (const text of texts) {
      expect(text).not.toContain(person.password);
      expect(text).not.toContain(fresh);
    }
  });
});

describe('A customer', () => {
  it('who is suspended neither logs in nor keeps tokens alive, until resumed', async () => {
    const person = await add('suspect');
    const tokens = await logIn(person);
    await done(['suspend', 'suspect']);
    expect(await isRefused(person)).toBe(true);
    expect(await refreshError(tokens.refresh_token)).toBe('invalid_grant');
    await done(['resume', 'suspect']);
    await logIn(person);
  });

  it('whose sessions are ended keeps no token, and may log in again', async () => {
    const person = await add('everywhere');
    const tokens = await logIn(person);
    const { json } = await done(['end-sessions', 'everywhere', '--json']);
    expect(json()['customer']).toMatchObject({ id: person.id });
    expect(await refreshError(tokens.refresh_token)).toBe('invalid_grant');
    await logIn(person);
    const { json: trail } = await cli.run(['audit', 'list', '--customer', person.id, '--json']);
    const types = (trail()['events'] as { type: string; actorType: string }[])
      .filter(({ actorType }) => actorType === 'operator')
      .map(({ type }) => type);
    expect(types).toEqual(['customer.sessions_ended', 'customer.created']);
  });
});

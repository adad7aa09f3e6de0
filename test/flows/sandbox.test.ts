import { X509Certificate } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { configurationProblems } from '../../src/startup/configuration-problems.ts';
import { readPsd2 } from '../../src/tls/qc-statements.ts';
import { launchBrowser } from '../../tools/browser.ts';
import { paste as pasteInShell } from '../support/curl.ts';
import { emptyPlace, startScript, untilReady } from '../support/demo-process.ts';
import type { EmptyPlace } from '../support/demo-process.ts';
import { freePort } from '../support/free-port.ts';
import { runSampleApplication } from '../support/tpp-app.ts';

const timeoutMs = 120_000;

let place: EmptyPlace;
let server: ReturnType<typeof startScript>;
let browser: Browser;

beforeAll(async () => {
  place = await emptyPlace();
  server = startScript('src/main.ts', place);
  await untilReady(place);
  browser = await launchBrowser();
}, timeoutMs);

afterAll(async () => {
  await browser.close();
  await server.stop();
  await place.directory.remove();
});

const countersign = (words: readonly string[], environment = place.environment) =>
  startScript('src/cli/index.ts', { environment }, words).end();

const inKeys = (name: string) => path.join(place.keysDirectory, name);
const textIn = (name: string) => readFileSync(inKeys(name), 'utf8');

async function sandbox(words: readonly string[]): Promise<Record<string, unknown>> {
  const { exitCode, output, errors } = await countersign(['sandbox', ...words, '--json']);
  expect([exitCode, errors]).toEqual([0, '']);
  return JSON.parse(output) as Record<string, unknown>;
}

/** Runs a printed command exactly as it stands. */
async function paste(command: string): Promise<Record<string, unknown>> {
  return JSON.parse(await pasteInShell(command, place.directory)) as Record<string, unknown>;
}

describe('The sandbox makes a third party', () => {
  let made: Record<string, unknown>;
  let commands: Record<string, string>;

  beforeAll(async () => {
    made = await sandbox(['tpp', 'acme', '--roles', 'AISP,PISP']);
    commands = made['commands'] as Record<string, string>;
  }, timeoutMs);

  it('whose files nobody else can read', () => {
    const files = readdirSync(inKeys('sandbox/acme'));
    expect(files).toEqual(expect.arrayContaining(['transport.key', 'signing.json']));
    for (const name of files) {
      const mode = statSync(inKeys(`sandbox/acme/${name}`)).mode & 0o777;
      expect([name, mode.toString(8)]).toEqual([name, '600']);
    }
  });

  it('whose certificate states its roles, as a QWAC does', () => {
    const certificate = new X509Certificate(textIn('sandbox/acme/transport.crt'));
    expect(readPsd2(certificate)).toMatchObject({
      roles: ['PSP_AI', 'PSP_PI'],
      ncaId: 'GB-SANDBOX',
      organizationIdentifier: made['organisationId'],
      types: ['web'],
    });
    const signing = new X509Certificate(textIn('sandbox/acme/signing.crt'));
    expect(signing.checkIssued(new X509Certificate(textIn('ca.crt')))).toBe(true);
  });

  it('which registers, and gets a token bound to its certificate, by the printed commands', async () => {
    const registered = await paste(commands['register'] ?? '');
    expect(registered).toMatchObject({
      security_profile: 'fapi2',
      scope: 'openid accounts payments',
      software_id: made['softwareId'],
    });
    expect(statSync(inKeys('sandbox/acme/registered.json')).mode & 0o777).toBe(0o600);
    const { access_token: token } = await paste(commands['token'] ?? '');
    expect(decodeJwt(String(token))).toMatchObject({
      sub: registered['client_id'],
      scope: 'accounts payments',
      cnf: { 'x5t#S256': expect.any(String) as unknown },
    });

    const [curl = ''] = (commands['token'] ?? '').split(' -d ');
    const [, origin = ''] = / (https:\S+)\/token$/.exec(commands['token'] ?? '') ?? [];
    const consents = `${origin}/open-banking/v4.0/aisp/account-access-consents`;
    const unknown = await paste(
      `${curl} -H 'Authorization: Bearer ${String(token)}' ${consents}/unknown`,
    );
    expect(JSON.stringify(unknown)).toContain('U011'); // let in, and told that there is no such consent
  });

  it('and gives it a fresh statement when it asks', async () => {
    const before = textIn('sandbox/acme/statement.jwt').trim();
    const { statement } = await sandbox(['statement', 'acme']);
    expect(statement).not.toBe(before);
    expect(textIn('sandbox/acme/registration.json')).toContain(String(statement));
    expect(decodeProtectedHeader(String(statement))).toMatchObject({
      alg: 'PS256',
      kid: expect.stringMatching(/^development-/) as unknown,
    });
    expect(await paste(commands['register'] ?? '')).toHaveProperty('client_id');
  });

  it('which appears in the list', async () => {
    const { software } = await sandbox(['list']);
    expect(software).toContainEqual(expect.objectContaining({ name: 'acme', profile: 'fapi2' }));
    const { output } = await countersign(['sandbox', 'list']);
    expect(output).toMatch(/^NAME .*\n(?:.*\n)*acme +\w+ +AISP,PISP +fapi2\n/);
  });

  it('which can not have more than its certificate and its statement say', async () => {
    const other = await sandbox(['tpp', 'reader', '--profile', 'baseline']);
    const { register } = other['commands'] as Record<string, string>;
    const certificate = textIn('sandbox/acme/transport.crt');
    await writeFile(inKeys('sandbox/reader/transport.crt'), certificate);
    await writeFile(inKeys('sandbox/reader/transport.key'), textIn('sandbox/acme/transport.key'));
    expect(await paste(register ?? '')).toMatchObject({ error: 'unapproved_software_statement' });
  });
});

describe('The sandbox refuses', () => {
  it.each([
    [['tpp', 'directory'], 2, 'already'],
    [['tpp', '../up'], 2, 'small letters'],
    [['tpp', 'roles', '--roles', 'ASPSP'], 2, 'AISP, PISP, CBPII'],
    [['statement', 'nobody'], 2, 'sandbox list'],
  ])('%j', async (words, code, message) => {
    const { exitCode, output, errors } = await countersign(['sandbox', ...words]);
    expect([exitCode, output]).toEqual([code, '']);
    expect(errors).toContain(message);
  });

  it('a name that is taken', async () => {
    await sandbox(['tpp', 'twice']);
    const { exitCode, errors } = await countersign(['sandbox', 'tpp', 'twice']);
    expect(exitCode).toBe(2);
    expect(errors).toContain('sandbox statement twice');
  });

  it.each([['tpp', 'acme'], ['statement', 'acme'], ['list']])(
    '%j in production',
    async (...words) => {
      const environment = { ...place.environment, COUNTERSIGN_ENV: 'production' };
      const { exitCode, errors } = await countersign(['sandbox', ...words], environment);
      expect(exitCode).toBe(78);
      expect(errors).toMatch(/production, which has no sandbox: run this with/);
    },
  );
});

describe('Production refuses the directory of the sandbox', () => {
  const problemsWith = (file: string) =>
    configurationProblems(
      { COUNTERSIGN_ENV: 'production', COUNTERSIGN_DIRECTORIES: file },
      systemClock,
    );

  it('by its name, its key and what only it allows', async () => {
    const problems = await problemsWith(inKeys('sandbox/directory/directories.json'));
    expect(problems).toContainEqual(expect.stringMatching(/directory that development created/));
    expect(problems).toContainEqual(expect.stringMatching(/localRedirectUris .* sandbox only/));
    expect(problems).toContainEqual(expect.stringMatching(/jwks\.json has a key that development/));
  });

  it('by its key alone, under another name', async () => {
    const text = textIn('sandbox/directory/directories.json');
    const renamed = text
      .replaceAll('development-directory.test', 'directory.example')
      .replaceAll('"localRedirectUris": true', '"localRedirectUris": false');
    await writeFile(inKeys('sandbox/directory/renamed.json'), renamed);
    const problems = await problemsWith(inKeys('sandbox/directory/renamed.json'));
    const told = problems.filter((problem) => problem.startsWith('COUNTERSIGN_DIRECTORIES'));
    expect(told).toEqual([expect.stringMatching(/has a key that development created/)]);
  });
});

describe('The sample application', () => {
  const app = 'examples/tpp-app/run.ts';
  const wordsFor = (name: string) => ['--name', name, '--keys', place.keysDirectory];

  async function newThirdParty(name: string, words: readonly string[] = []): Promise<void> {
    const redirectUri = `https://localhost:${String(await freePort())}/callback`;
    await sandbox(['tpp', name, ...words, '--redirect-uri', redirectUri]);
  }

  async function runApp(name: string, username: string, words: readonly string[] = []) {
    const told = await runSampleApplication([...wordsFor(name), ...words], username, {
      place,
      browser,
    });
    expect([told.exitCode, told.errors, told.heading]).toEqual([0, '', 'Welcome back']);
    return told;
  }

  it.each([
    ['a name that nobody has', ['--name', 'nobody'], /^There is no .*sandbox tpp nobody\n$/],
    ['an option that there is not', ['--nam', 'shop'], /^Unknown option '--nam'.*\n$/],
    ['a method that there is not', ['--name', 'smiler', '--auth', 'smile'], /^--auth is .*\n$/],
  ])('says in a line what is wrong with %s', async (_what, words, reason) => {
    if (words.includes('smiler')) await newThirdParty('smiler');
    const { exitCode, errors } = await startScript(app, place, [
      ...words,
      '--keys',
      place.keysDirectory,
    ]).end();
    expect(exitCode).toBe(1);
    expect(errors).toMatch(reason);
  });

  it('gets a FAPI 2.0 token and uses it, by a real browser', { timeout: timeoutMs }, async () => {
    await newThirdParty('shop', ['--roles', 'AISP,PISP']);
    const { output, url } = await runApp('shop', 'alex');
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    expect(output).toContain('"security_profile": "fapi2"');
    expect(output).toContain('"token_endpoint_auth_method": "tls_client_auth"');
    expect(output).toMatch(/Access token\n[\s\S]*"x5t#S256": "[\w-]{43}"/);
    expect(output).toMatch(/The API answers 200\n[\s\S]*"scope": "openid accounts payments"/);
    expect(output).not.toMatch(/eyJ[\w-]{10}/);

    const again = await runApp('shop', 'robin', ['--auth', 'key']);
    expect(again.output).toContain('"token_endpoint_auth_method": "private_key_jwt"');
    expect(again.output).toContain('The API answers 200');

    const cleaned = await startScript(app, place, [...wordsFor('shop'), '--clean']).end();
    expect(cleaned.output).toMatch(/^Unregistered client-/);
    const none = await startScript(app, place, [...wordsFor('shop'), '--clean']).end();
    expect(none.output).toBe('There is no registration.\n');
  });

  it('signs requests for a client of message signing', { timeout: timeoutMs }, async () => {
    await newThirdParty('signer', ['--profile', 'fapi2-message-signing']);
    const { output } = await runApp('signer', 'sasha', ['--auth', 'key']);
    expect(output).toContain('"security_profile": "fapi2-message-signing"');
    expect(output).toContain('The API answers 200');
  });
});

import { generateKeyPairSync } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';
import { createPkcs11Signer } from '../../src/signing-keys/signers/pkcs11-signer.ts';
import { faultOf } from '../../src/signing-keys/signers/signer.ts';
import type { KeptKey, Signer } from '../../src/signing-keys/signers/signer.ts';
import { commandLineBeside } from '../support/command-line.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { kidsOf, operatorBeside, verifies } from '../support/key-ring.ts';
import { authorizationRequest } from '../support/openid.ts';
import { kidOf, metricsOf, signingWorld } from '../support/signing-world.ts';
import type { SigningWorld } from '../support/signing-world.ts';
import { stored } from '../support/stored.ts';
import { clientOf } from '../support/tokens.ts';
import { runCommand } from './support/command.ts';
import { softHsm } from './support/soft-hsm.ts';
import type { SoftHsm } from './support/soft-hsm.ts';

const within = { timeout: 20_000, interval: 50 };

const data = Buffer.from('what is signed');
const signable = { publicJwk: { kty: 'RSA' }, privateJwk: undefined, reference: undefined };

/** The processes of ours that hold the token: children of this one. */
async function tokenProcesses(): Promise<number[]> {
  const { stdout } = await runCommand('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)]);
  return stdout
    .split('\n')
    .filter((line) => line.includes('pkcs11-process'))
    .map((line) => Number.parseInt(line, 10))
    .toSorted((a, b) => a - b);
}

let hsm: SoftHsm;
let world: SigningWorld;

beforeAll(async () => {
  hsm = await softHsm();
  world = await signingWorld(hsm.environment);
});

afterAll(async () => {
  await world.close();
  await hsm.close();
});

describe.each(signingAlgorithms)('With %s keys in the HSM', (algorithm) => {
  it('both processes sign what the published key verifies, before and after a rotation', async () => {
    const { first, second, operator, tokenOf, signerOf } = world;
    const before = await tokenOf(first, algorithm);
    expect(await signerOf(before)).toBe('pkcs11');
    const { kid } = await operator.rotation.rotate(algorithm);
    await expect.poll(async () => kidOf(await tokenOf(second, algorithm)), within).toBe(kid);
    await expect.poll(() => kidsOf(first), within).toContain(kid);
    for (const token of [
      before,
      await tokenOf(first, algorithm),
      await tokenOf(second, algorithm),
    ]) {
      expect(await verifies(first, token)).toBe(true);
      expect(await verifies(second, token)).toBe(true);
    }
    const help = `countersign_signature_seconds_count{signer="pkcs11",algorithm="${algorithm}"}`;
    expect(await metricsOf(first)).toContain(help);
  });
});

describe('A private key', () => {
  it('never leaves the HSM', async () => {
    const made = await stored<{ reference: string }>(
      world.first,
      `SELECT reference FROM signing_keys WHERE signer = 'pkcs11' AND origin <> 'import'`,
    );
    for (const { reference } of made) expect(reference).toMatch(/^[\da-f]{32}$/);
    const ours = new Set(made.map(({ reference }) => reference));
    const objects = (await hsm.describeKeys()).split(/(?=Private Key Object|Public Key Object)/);
    const secret = objects.filter(
      (text) =>
        text.startsWith('Private Key Object') && ours.has(/ID: +([\da-f]+)/.exec(text)?.[1] ?? ''),
    );
    expect(secret.length).toBeGreaterThanOrEqual(signingAlgorithms.length);
    for (const text of secret)
      expect(text).toMatch(/Access: +sensitive, always sensitive, never extractable, local/);
  });
});

describe('A token that was taken out', () => {
  const code = async () => {
    const { first } = world;
    const configuration = await clientOf(first, 'web');
    const request = await authorizationRequest(configuration, {
      redirect_uri: 'https://web.example.com/callback',
      scope: 'openid accounts',
    });
    const callback = await createCustomerAgent(first).authorize(request.url);
    return { configuration, callback, checks: request.checks };
  };

  afterEach(async () => {
    await hsm.putBack();
    await world.recover();
  });

  it('means 503 and no token, and all goes on by itself when it is back, with the code that was kept', async () => {
    const { first, second, ask } = world;
    const waiting = await code();
    await hsm.takeOut();
    const answers = [];
    for (let turn = 0; turn < 10; turn += 1) {
      answers.push(await ask(first, 'RS256'), await ask(first, 'ES256'));
    }
    for (const { status, body, headers } of answers) {
      expect([status, body['error'], body['access_token']]).toEqual([
        503,
        'temporarily_unavailable',
        undefined,
      ]);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    await expect(
      openid.authorizationCodeGrant(waiting.configuration, waiting.callback, waiting.checks),
    ).rejects.toMatchObject({ cause: { status: 503 } });
    const jwks = await first.fetch()(`${first.issuer}/jwks`);
    expect(jwks.status).toBe(200);
    expect(await metricsOf(first)).toMatch(
      /countersign_signature_failures_total\{signer="pkcs11",reason="unavailable"\} \d/,
    );
    await hsm.putBack();
    await expect.poll(async () => (await ask(first, 'ES256')).status, within).toBe(200);
    const tokens = await openid.authorizationCodeGrant(
      waiting.configuration,
      waiting.callback,
      waiting.checks,
    );
    expect(await verifies(second, tokens.access_token)).toBe(true);
  });

  it('keeps the schedule and the operator from making keys there, and nothing else', async () => {
    const { second, operator } = world;
    await hsm.takeOut();
    await expect(operator.rotation.announce('PS256')).rejects.toMatchObject({
      code: 'signer_unavailable',
    });
    const { kid } = (await operator.rotation.status()).keys.find(
      ({ stage, algorithm }) => stage === 'active' && algorithm === 'EdDSA',
    ) ?? { kid: '' };
    await operator.rotation.retire(kid);
    await expect.poll(() => kidsOf(second), within).toContain(kid);
    await hsm.putBack();
    await expect
      .poll(() => operator.rotation.rotate('EdDSA').then(({ stage }) => stage, String), within)
      .toBe('active');
  });
});

describe('A library that hangs', () => {
  afterEach(async () => {
    for (const pid of await tokenProcesses()) process.kill(pid, 'SIGCONT');
    await world.recover();
  });

  it('means 503 in time, and the next signature comes from a new process', async () => {
    const { first, second, ask } = world;
    const stopped = await tokenProcesses();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    for (const server of [first, second]) {
      const begun = performance.now();
      const { status, body } = await ask(server, 'RS256');
      expect([status, body['error']]).toEqual([503, 'temporarily_unavailable']);
      expect(performance.now() - begun).toBeLessThan(6000);
      await expect.poll(async () => (await ask(server, 'RS256')).status, within).toBe(200);
    }
    expect(await metricsOf(first)).toMatch(
      /countersign_signature_failures_total\{signer="pkcs11",reason="timeout"\} \d/,
    );
    // The operator's stays stopped: nothing was asked of it.
    const left = (await tokenProcesses()).filter((pid) => stopped.includes(pid));
    expect(left.length).toBeLessThanOrEqual(stopped.length - 2);
  });
});

describe('A key that was made in the HSM by other tools', () => {
  const adopt = (algorithm: SigningAlgorithm, label: string, id?: string) =>
    world.operator.rotation.adopt({ algorithm, label, id });

  it.each([
    ['RS256', 'rsa:3072', 'c1'.repeat(16)],
    ['ES256', 'EC:prime256v1', 'c2'.repeat(16)],
    ['EdDSA', 'EC:edwards25519', 'c3'.repeat(16)],
  ] as const)('is announced for %s, and signs when it is promoted', async (algorithm, type, id) => {
    const { first, operator, tokenOf } = world;
    await hsm.makeKey(type, { label: `ceremony ${id}`, id });
    const { kid, stage, reference } = await adopt(algorithm, `ceremony ${id}`);
    expect([stage, reference]).toEqual(['announced', id]);
    expect(operator.acts).toContainEqual({
      type: 'signing_key.created',
      detail: { kid, algorithm, stage: 'announced', origin: 'import' },
    });
    await operator.rotation.promote(kid);
    await expect.poll(async () => kidOf(await tokenOf(first, algorithm)), within).toBe(kid);
    expect(await verifies(first, await tokenOf(first, algorithm))).toBe(true);
    await expect(adopt(algorithm, `ceremony ${id}`)).rejects.toMatchObject({
      code: 'signing_key_act_refused',
      detail: `the key ${kid} is, or was, there already`,
    });
  });

  it('is adopted by the command', async () => {
    const { first, operator } = world;
    const cli = await commandLineBeside(first);
    const [label, id] = ['ceremony of the command', 'c4'.repeat(16)];
    await hsm.makeKey('rsa:2048', { label, id });
    const words = ['keys', 'adopt', '--label', label, '--id', id.toUpperCase(), '--json'];
    const more = { ...hsm.environment, SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' };
    const result = await cli.run([...words, '--algorithm', 'PS256'], '', more);
    expect(result).toMatchObject({ exitCode: 0, errors: '' });
    const [key] = result.json()['keys'] as { kid: string }[];
    expect(key).toMatchObject({
      ...{ algorithm: 'PS256', stage: 'announced', origin: 'import', signer: 'pkcs11' },
      reference: id,
    });
    await operator.rotation.revoke(key?.kid ?? '');
    await cli.remove();
  });

  it('is refused where it is missing, may be taken out, was brought there, is too weak, of another kind or one of several', async () => {
    await hsm.makeKey('rsa:1024', { label: 'weak', id: 'd1' });
    await hsm.makeKey('EC:secp384r1', { label: 'curve', id: 'd2' });
    await hsm.makeKey('rsa:2048', { label: 'loose', id: 'd5' }, ['--extractable']);
    await hsm.importKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, {
      ...{ label: 'brought', id: 'd6' },
    });
    await hsm.makeKey('EC:prime256v1', { label: 'twice', id: 'd3' });
    await hsm.makeKey('EC:prime256v1', { label: 'twice', id: 'd4' });
    const outside = (label: string) =>
      `the private key ${label} is not the HSM’s alone, or may vanish from it`;
    const refusals = [
      ['PS256', 'absent', 'there is no private key absent in the token'],
      [
        ...(['PS256', 'loose'] as const),
        `${outside('loose')}: CKA_EXTRACTABLE is not false, CKA_NEVER_EXTRACTABLE is not true`,
      ],
      [
        ...(['PS256', 'brought'] as const),
        `${outside('brought')}: CKA_LOCAL is not true, CKA_ALWAYS_SENSITIVE is not true, CKA_NEVER_EXTRACTABLE is not true`,
      ],
      ['PS256', 'weak', 'an RSA key of 1024 bits is too weak: 2048 is the least'],
      ['ES256', 'curve', 'ES256 does not sign with a key of the kind of curve'],
      ['PS256', 'twice', 'there are several of the private key twice in the token'],
    ] as const;
    for (const [algorithm, label, detail] of refusals) {
      await expect(adopt(algorithm, label)).rejects.toMatchObject({
        ...{ code: 'signing_key_invalid', detail },
      });
    }
    const { kid } = await adopt('ES256', 'twice', 'd4');
    await world.operator.rotation.revoke(kid);
  });
});

describe('The process that holds the token', () => {
  const signer = (): Signer =>
    createPkcs11Signer({
      library: hsm.environment['COUNTERSIGN_PKCS11_LIBRARY'] ?? '',
      token: hsm.environment['COUNTERSIGN_PKCS11_TOKEN'] ?? '',
      pin: hsm.environment['COUNTERSIGN_PKCS11_PIN'] ?? '',
      timeoutMs: 10_000,
    });

  it('goes on signing after a question about a key that is not there', async () => {
    const before = await tokenProcesses();
    const own = signer();
    const made = await own.generate('PS256');
    const key = { ...signable, ...made };
    const absent = own.open({ ...key, reference: 'ff'.repeat(16) });
    const asked = Array.from({ length: 40 }, (_, turn) =>
      turn % 8 === 3
        ? absent(data).catch(faultOf)
        : own
            .open(key)(data)
            .then(({ length }) => length),
    );
    const answers = await Promise.all(asked);
    expect(answers).toEqual(answers.map((_, turn) => (turn % 8 === 3 ? 'refused' : 256)));
    await own.discard(made as KeptKey);
    await own.close();
    expect(await tokenProcesses()).toEqual(before);
  });

  it('is started anew when it died while nothing was asked of it', async () => {
    const before = await tokenProcesses();
    const own = signer();
    const made = await own.generate('ES256');
    const sign = own.open({ ...signable, ...made });
    const [pid = 0] = (await tokenProcesses()).filter((one) => !before.includes(one));
    process.kill(pid, 'SIGKILL');
    await expect.poll(tokenProcesses, within).toEqual(before);
    expect((await sign(data)).length).toBe(64);
    await own.discard(made as KeptKey);
    await own.close();
  });
});

describe('A wrong PIN', () => {
  it('is tried once, for a token locks itself', async () => {
    const environment = { ...hsm.environment, COUNTERSIGN_PKCS11_PIN: '00000000' };
    const stranger = operatorBeside(world.first, systemClock, environment);
    for (const reason of ['CKR_PIN_INCORRECT', 'it refused the PIN', 'it refused the PIN']) {
      await expect(stranger.rotation.announce('ES256')).rejects.toThrow(reason);
    }
    await stranger.close();
  });

  it('of another token is told as it is', async () => {
    const environment = { ...hsm.environment, COUNTERSIGN_PKCS11_TOKEN: 'another' };
    const stranger = operatorBeside(world.first, systemClock, environment);
    await expect(stranger.rotation.announce('ES256')).rejects.toThrow('there is no token another');
    await stranger.close();
  });
});

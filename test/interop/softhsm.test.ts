import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
import { createPkcs11Signer } from '../../src/signing-keys/signers/pkcs11-signer.ts';
import { faultOf } from '../../src/signing-keys/signers/signer.ts';
import type { KeptKey, Signer } from '../../src/signing-keys/signers/signer.ts';
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
    const objects = (await hsm.describeKeys()).split(/(?=Private Key Object|Public Key Object)/);
    const secret = objects.filter((text) => text.startsWith('Private Key Object'));
    expect(secret.length).toBeGreaterThanOrEqual(signingAlgorithms.length);
    for (const text of secret)
      expect(text).toMatch(/Access: +sensitive, always sensitive, never extractable, local/);
    const rows = await stored<{ reference: string }>(
      world.first,
      `SELECT reference FROM signing_keys WHERE stage = 'active'`,
    );
    for (const { reference } of rows) expect(reference).toMatch(/^[\da-f]{32}$/);
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

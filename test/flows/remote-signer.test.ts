import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { redactText } from '../../src/observability/redact-text.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
import { keyService, serviceToken } from '../support/key-service.ts';
import type { KeyService } from '../support/key-service.ts';
import { kidsOf, operatorBeside, verifies } from '../support/key-ring.ts';
import { kidOf, metricsOf, signingWorld } from '../support/signing-world.ts';
import type { SigningWorld } from '../support/signing-world.ts';
import { authorizationRequest } from '../support/openid.ts';
import { basic, post, send } from '../support/protocol.ts';
import { everyTable } from '../support/secrets-seen.ts';
import { stored } from '../support/stored.ts';
import { clientOf } from '../support/tokens.ts';

const within = { timeout: 10_000, interval: 20 };
const timeoutMs = 400;
const concurrency = 3;

let service: KeyService;
let world: SigningWorld;
let tokenInFile = serviceToken;
let readings = 0;

beforeAll(async () => {
  service = await keyService();
  const environment = {
    ...service.environment,
    COUNTERSIGN_SIGNER_TIMEOUT: String(timeoutMs),
    COUNTERSIGN_SIGNER_CONCURRENCY: String(concurrency),
  };
  world = await signingWorld(environment, {
    signerToken() {
      readings += 1;
      return tokenInFile;
    },
  });
});

afterEach(async () => {
  tokenInFile = serviceToken;
  await service.behave('well');
  await world.recover();
});

afterAll(async () => {
  await world.close();
  await service.close();
});

const stranger = (changes: Record<string, string>) =>
  operatorBeside(world.first, systemClock, { ...service.environment, ...changes });

describe.each(signingAlgorithms)('With %s keys at the key service', (algorithm) => {
  it('both processes sign what the published key verifies, before and after a rotation', async () => {
    const { first, second, operator, tokenOf, signerOf } = world;
    const before = await tokenOf(first, algorithm);
    expect(await signerOf(before)).toBe('remote');
    const { kid } = await operator.rotation.rotate(algorithm);
    for (const server of [first, second]) {
      await expect.poll(async () => kidOf(await tokenOf(server, algorithm)), within).toBe(kid);
      expect(await kidsOf(server)).toContain(kidOf(before));
      expect(await verifies(server, before)).toBe(true);
      expect(await verifies(server, await tokenOf(first, algorithm))).toBe(true);
    }
    expect(await metricsOf(first)).toContain(
      `countersign_signature_seconds_count{signer="remote",algorithm="${algorithm}"}`,
    );
  });
});

describe('A key service that fails', () => {
  it.each([
    ['sealed', 'unavailable'],
    ['gone', 'unavailable'],
    ['hanging', 'timeout'],
  ] as const)('because it is %s means 503 and no token, until it is well', async (mood, reason) => {
    const { first, ask } = world;
    await service.behave(mood);
    for (const algorithm of ['RS256', 'ES256'] as const) {
      const { status, body, text } = await ask(first, algorithm);
      expect([status, body['error']]).toEqual([503, 'temporarily_unavailable']);
      expect(text).not.toMatch(/access_token|transit|localhost/);
    }
    expect(await metricsOf(first)).toMatch(
      new RegExp(
        `countersign_signature_failures_total\\{signer="remote",reason="${reason}"\\} \\d`,
      ),
    );
    expect((await first.fetch()(`${first.issuer}/jwks`)).status).toBe(200);
  });

  it('leaves signed answers of other endpoints a 503 as well', async () => {
    const { first, tokenOf } = world;
    const token = await tokenOf(first, 'RS256');
    const { tpp } = first;
    const consent = await authorizationRequest(await clientOf(first, 'web'), {
      redirect_uri: 'https://web.example.com/callback',
      scope: 'openid',
      response_mode: 'jwt',
      prompt: 'none',
    });
    await service.behave('sealed');
    const authorization = await send(first.fetch(), consent.url);
    expect([authorization.status, authorization.headers.get('location')]).toEqual([503, null]);
    const introspection = await post(first.fetch(tpp), `${first.issuer}/introspect`, {
      form: { token },
      headers: {
        ...basic('accounts-rs', first.secrets['accounts-rs']),
        accept: 'application/token-introspection+jwt',
      },
    });
    expect([introspection.status, introspection.body['error']]).toEqual([
      503,
      'temporarily_unavailable',
    ]);
  });

  it('is asked for so much at once and no more, and everybody is answered in time', async () => {
    const { first, ask } = world;
    await service.behave('hanging');
    const begun = performance.now();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(first, 'PS256')));
    const { most } = await service.behave('hanging');
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(most).toBeLessThanOrEqual(concurrency);
    expect(performance.now() - begun).toBeLessThan(timeoutMs * 10);
  });

  it('signs for others all the while: of 50 requests at once each gets its token', async () => {
    const { first, second, ask } = world;
    const turns = Array.from({ length: 50 }, (_, turn) => (turn % 2 === 0 ? first : second));
    const answers = await Promise.all(turns.map((server) => ask(server, 'ES256')));
    expect(answers.map(({ status }) => status)).toEqual(turns.map(() => 200));
  });

  it('keeps a new key from being made there that does not sign what it should', async () => {
    await service.behave('forging');
    await expect(world.operator.rotation.announce('ES256')).rejects.toMatchObject({
      code: 'signing_key_invalid',
      detail: expect.stringContaining('does not verify by its public key') as string,
    });
  });
});

describe('What proves us to the key service', () => {
  it('is read again when it was renewed, and what was refused is sent once more', async () => {
    const { first, ask } = world;
    const renewed = 'hvs.n3wT0k3nAfterRenewal';
    await service.behave('well', renewed);
    const [before, begun] = [readings, performance.now()];
    for (let turn = 0; turn < 10; turn += 1) {
      expect((await ask(first, 'RS256')).status).toBe(503);
    }
    const seconds = (performance.now() - begun) / 1000;
    expect(readings - before).toBeLessThanOrEqual(Math.floor(seconds) + 1);
    tokenInFile = renewed;
    await expect.poll(async () => (await ask(first, 'RS256')).status, within).toBe(200);
    const { refused } = await service.behave('well', renewed);
    expect((await ask(first, 'RS256')).status).toBe(200);
    expect((await service.behave('well', renewed)).refused).toBe(refused);
  });

  it('is needed: without the certificate, or with a wrong token, it makes no key', async () => {
    const { COUNTERSIGN_SIGNER_CERTIFICATE, COUNTERSIGN_SIGNER_PRIVATE_KEY, ...rest } =
      service.environment;
    expect(COUNTERSIGN_SIGNER_CERTIFICATE).toContain('CERTIFICATE');
    expect(COUNTERSIGN_SIGNER_PRIVATE_KEY).toContain('PRIVATE KEY');
    const bare = operatorBeside(world.first, systemClock, rest);
    await expect(bare.rotation.announce('EdDSA')).rejects.toMatchObject({
      code: 'signer_unavailable',
    });
    await bare.close();
    const wrong = stranger({ COUNTERSIGN_SIGNER_TOKEN: 'hvs.somethingElseAltogether' });
    await expect(wrong.rotation.announce('EdDSA')).rejects.toThrow('refused: GET keys/');
    await wrong.close();
    const { certificatePem: another } = world.first.certificates.authority;
    const distrustful = stranger({ COUNTERSIGN_SIGNER_TRUSTSTORE: another });
    await expect(distrustful.rotation.announce('EdDSA')).rejects.toThrow('unavailable: ');
    await distrustful.close();
  });
});

describe('The database', () => {
  it('says where a key is, and has nothing that signs', async () => {
    const { first } = world;
    const sql = `SELECT kid, signer, reference, sealed_key FROM signing_keys WHERE stage = 'active'`;
    const rows = await stored<{ reference: string; signer: string }>(first, sql);
    expect(rows).toHaveLength(4);
    for (const { signer, reference } of rows) {
      expect([signer, reference]).toEqual([
        'remote',
        expect.stringMatching(/^countersign-\w+:\d+$/),
      ]);
    }
  });

  it.each([
    ['reference', `'countersign-rs256:99'`],
    ['public_jwk', `public_jwk || '{"n":"AQAB"}'`],
    ['signer', `'sealed'`],
  ])('whose %s of a key was changed is told, and the key signs no more', async (column, value) => {
    const { first, operator } = world;
    const { kid } = await operator.rotation.announce('RS256');
    // Also where it is not told: the next rotation would wait for this key.
    onTestFinished(async () => {
      await operator.rotation.revoke(kid);
    });
    await stored(first, `UPDATE signing_keys SET ${column} = ${value} WHERE kid = '${kid}'`);
    // As the log has it: a kid may happen to have the letters by which tokens are known.
    const told = redactText(`the stored public key of ${kid} is not that of its private key`);
    await expect.poll(() => first.log.raw(), within).toContain(told);
  });
});

describe('Nowhere', () => {
  it('is written what opens the key service', async () => {
    const { first, ask } = world;
    await service.behave('sealed');
    await ask(first, 'RS256');
    await first.running.app.audit.flush();
    const places = await everyTable(first);
    places.set('log', await first.log.raw());
    places.set('metrics', await metricsOf(first));
    const privateKey = service.environment['COUNTERSIGN_SIGNER_PRIVATE_KEY'] ?? '';
    const [, line = ''] = privateKey.split('\n');
    expect(places.get('log')).toContain('unavailable: POST sign/countersign-rs256');
    for (const [place, text] of places) {
      expect([place, text.includes(serviceToken), text.includes(line)]).toEqual([
        place,
        false,
        false,
      ]);
    }
  });
});

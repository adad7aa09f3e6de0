import { X509Certificate } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { epochSeconds } from '../../src/clock.ts';
import { createReplayMemory } from '../../src/edge/resource-server/replay-memory.ts';
import type { ProtectedRequest } from '../../src/edge/resource-server/resource-server.ts';
import { thumbprintOf } from '../../src/edge/resource-server/sender.ts';
import { createTestCertificates, clientCertificate } from '../support/certificates.ts';
import { dpopProof, newClientKey } from '../support/fapi.ts';
import type { ClientKey, ProofOptions } from '../support/fapi.ts';
import {
  audience,
  movableClock,
  protectedApi,
  requestWith,
  standInIssuer,
} from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';

const clock = movableClock();
const secret = 's'.repeat(32);
let world: StandInIssuer;
let own: Buffer;
let other: Buffer;
let proxys: Buffer;

beforeAll(async () => {
  world = await standInIssuer(clock, ['ES256']);
  const { authority } = await createTestCertificates();
  const der = async (subject: string) =>
    new X509Certificate((await clientCertificate(authority, { subject })).certificatePem).raw;
  [own, other, proxys] = [await der('CN=own'), await der('CN=other'), await der('CN=proxy')];
});

const bound = (der: Buffer) => world.token({ cnf: { 'x5t#S256': thumbprintOf(der) } });
const sequence = (der: Buffer) => `:${der.toString('base64')}:`;
const pem = (der: Buffer) => encodeURIComponent(new X509Certificate(der).toString());

describe('A token that is bound to a certificate', () => {
  it('is taken from its holder, and from nobody else', async () => {
    const api = protectedApi(world, clock, { unboundTokens: 'refuse' });
    const token = await bound(own);
    const statusWith = async (certificate: Buffer | undefined) =>
      (await api.bearer(token, {}, { certificate })).status;
    expect([await statusWith(own), await statusWith(other), await statusWith(undefined)]).toEqual([
      200, 401, 401,
    ]);
    const unbound = await api.bearer(await world.token(), {}, { certificate: own });
    expect(unbound).toMatchObject({ status: 401, error: 'invalid_token' });
  });

  it('is not taken by what a caller says of a certificate', async () => {
    const api = protectedApi(world, clock);
    const authorization = `Bearer ${await bound(own)}`;
    const told = requestWith({ authorization, 'client-cert': sequence(own) });
    expect((await api.ask(told)).status).toBe(401);
  });
});

describe('A proxy in front', () => {
  const behind = (format: 'rfc9440' | 'pem', more: object = { secrets: [secret] }) =>
    protectedApi(world, clock, { proxy: { header: 'Client-Cert', format, ...more } });

  async function statusOf(
    api: ReturnType<typeof protectedApi>,
    headers: Record<string, string | string[]>,
    more: Partial<ProtectedRequest> = {},
  ) {
    const authorization = `Bearer ${await bound(own)}`;
    return (await api.ask(requestWith({ authorization, ...headers }, more))).status;
  }

  it('tells which certificate it is', async () => {
    const proof = { 'countersign-proxy-secret': secret };
    const rfc9440 = behind('rfc9440');
    expect(await statusOf(rfc9440, { ...proof, 'client-cert': sequence(own) })).toBe(200);
    expect(await statusOf(rfc9440, { ...proof, 'client-cert': sequence(other) })).toBe(401);
    expect(await statusOf(rfc9440, proof)).toBe(401);
    // The connection is the proxy's.
    expect(await statusOf(rfc9440, proof, { certificate: own })).toBe(401);
    const nginx = behind('pem');
    expect(await statusOf(nginx, { ...proof, 'client-cert': pem(own) })).toBe(200);
    expect(await statusOf(nginx, { ...proof, 'client-cert': pem(other) })).toBe(401);
    expect(await statusOf(nginx, { ...proof, 'client-cert': '' })).toBe(401);
  });

  it('is believed by its secret alone', async () => {
    const api = behind('rfc9440', { secrets: ['another secret of thirty-two letters', secret] });
    const header = { 'client-cert': sequence(own) };
    expect(await statusOf(api, { ...header, 'countersign-proxy-secret': secret })).toBe(200);
    for (const wrong of [[], ['x'], [`${secret}s`], [secret, secret]]) {
      expect(await statusOf(api, { ...header, 'countersign-proxy-secret': wrong })).toBe(401);
    }
    // Its own certificate counts then, as for everybody.
    expect(await statusOf(api, header, { certificate: own })).toBe(200);
  });

  it('may be known by its own certificate', async () => {
    const api = behind('rfc9440', { thumbprints: [thumbprintOf(proxys)] });
    const header = { 'client-cert': sequence(own) };
    expect(await statusOf(api, header, { certificate: proxys })).toBe(200);
    expect(await statusOf(api, header, { certificate: other })).toBe(401);
    expect(await statusOf(api, header)).toBe(401);
  });

  it('must not send a header that can not be read', async () => {
    const proof = { 'countersign-proxy-secret': secret };
    const [rfc9440, nginx] = [behind('rfc9440'), behind('pem')];
    for (const value of ['x', '::', ':AAAA:', own.toString('base64'), `${sequence(own)}, x`]) {
      expect(await statusOf(rfc9440, { ...proof, 'client-cert': value })).toBe(400);
    }
    const two = [sequence(own), sequence(own)];
    expect(await statusOf(rfc9440, { ...proof, 'client-cert': two })).toBe(400);
    for (const value of ['%', 'x', pem(own) + pem(own), sequence(own)]) {
      expect(await statusOf(nginx, { ...proof, 'client-cert': value })).toBe(400);
    }
    const more = Buffer.concat([own, Buffer.from([0])]);
    expect(await statusOf(rfc9440, { ...proof, 'client-cert': sequence(more) })).toBe(400);
  });
});

describe('A token that is bound to a key', () => {
  let key: ClientKey;
  let token: string;

  beforeEach(async () => {
    key = await newClientKey();
    token = await world.token({ cnf: { jkt: key.thumbprint } });
  });

  function proof(options: Partial<ProofOptions> = {}, claims: Record<string, unknown> = {}) {
    const iat = epochSeconds(clock);
    const usual = { key, url: `${audience}/accounts`, method: 'GET', accessToken: token };
    return dpopProof({ ...usual, ...options, claims: { iat, ...claims, ...options.claims } });
  }

  const asked = (dpop: string | string[], more: Partial<ProtectedRequest> = {}, value = token) =>
    requestWith({ authorization: `DPoP ${value}`, dpop }, more);

  it('is taken with a proof, once', async () => {
    const api = protectedApi(world, clock, { unboundTokens: 'refuse' });
    const once = await proof();
    expect((await api.ask(asked(once))).status).toBe(200);
    const again = await api.ask(asked(once));
    expect(again).toMatchObject({ status: 401, error: 'invalid_dpop_proof' });
    expect(again).toHaveProperty('challenges', [expect.stringMatching(/^DPoP .*algs="ES256/)]);
    const query = await proof({ url: `${audience}/accounts?x=1#y` });
    expect((await api.ask(asked(query, { target: '/accounts?z=2' }))).status).toBe(200);
  });

  it.each<[string, () => Partial<ProofOptions>]>([
    ['another method', () => ({ method: 'POST' })],
    ['another path', () => ({ url: `${audience}/payments` })],
    ['another host', () => ({ url: 'https://evil.example/accounts' })],
    ['no address', () => ({ claims: { htu: 'accounts' } })],
    ['another token', () => ({ accessToken: 'another' })],
    ['no ath', () => ({ claims: { ath: undefined } })],
    ['no jti', () => ({ claims: { jti: undefined } })],
    ['an empty jti', () => ({ claims: { jti: '' } })],
    ['an old time', () => ({ claims: { iat: epochSeconds(clock) - 61 } })],
    ['a time to come', () => ({ claims: { iat: epochSeconds(clock) + 16 } })],
    ['a time that is a text', () => ({ claims: { iat: 'now' } })],
    ['another type', () => ({ header: { typ: 'JWT' } })],
    ['a key that is none', () => ({ header: { jwk: { kty: 'EC' } } })],
    ['no key', () => ({ header: { jwk: undefined } })],
    ['its private key', () => ({ header: { jwk: { ...key.jwk, d: 'AAAA' } } })],
  ])('is refused with a proof with %s', async (_name, options) => {
    const api = protectedApi(world, clock);
    const answer = await api.ask(asked(await proof(options())));
    expect(answer).toMatchObject({ status: 401, error: 'invalid_dpop_proof' });
    expect((await api.ask(asked(await proof()))).status).toBe(200); // the control
  });

  it('is refused as a bearer token, without a proof, with two, and with that of another key', async () => {
    const api = protectedApi(world, clock);
    const errorOf = async (request: ProtectedRequest) => {
      const answer = await api.ask(request);
      return 'error' in answer ? answer.error : answer.status;
    };
    expect(await errorOf(requestWith({ authorization: `Bearer ${token}` }))).toBe('invalid_token');
    const both = { authorization: `Bearer ${token}`, dpop: await proof() };
    expect(await errorOf(requestWith(both))).toBe('invalid_token');
    expect(await errorOf(asked([]))).toBe('invalid_dpop_proof');
    expect(await errorOf(asked([await proof(), await proof()]))).toBe('invalid_dpop_proof');
    expect(await errorOf(asked('x'.repeat(8193)))).toBe('invalid_dpop_proof');
    const thief = await newClientKey();
    expect(await errorOf(asked(await proof({ key: thief })))).toBe('invalid_token');
    const unbound = await world.token();
    const forUnbound = await proof({ accessToken: unbound });
    expect(await errorOf(asked(forUnbound, {}, unbound))).toBe('invalid_token');
  });

  it('has to show every binding that it has', async () => {
    const api = protectedApi(world, clock);
    token = await world.token({ cnf: { jkt: key.thumbprint, 'x5t#S256': thumbprintOf(own) } });
    expect((await api.ask(asked(await proof()))).status).toBe(401);
    expect((await api.ask(asked(await proof(), { certificate: own }))).status).toBe(200);
    expect((await api.bearer(token, {}, { certificate: own })).status).toBe(401);
  });

  it('is for the addresses of the API, whatever the request says of its host', async () => {
    const origins = ['https://one.bank.example', 'https://two.bank.example:8443'];
    const api = protectedApi(world, clock, { dpop: { origins } });
    for (const origin of origins) {
      expect((await api.ask(asked(await proof({ url: `${origin}/accounts` })))).status).toBe(200);
    }
    expect((await api.ask(asked(await proof()))).status).toBe(401);
    const absolute = asked(await proof(), { target: `${audience}/accounts` });
    expect((await api.ask(absolute)).status).toBe(401);
    for (const target of [
      '/x/../accounts',
      '/./accounts',
      '/%2e/accounts',
      '/x\\..\\..\\accounts',
    ]) {
      const url = new URL(target, audience).href;
      expect(url).toBe(`${audience}/accounts`);
      const usual = protectedApi(world, clock);
      expect((await usual.ask(asked(await proof({ url }), { target }))).status).toBe(401);
    }
    const slashes = asked(await proof({ url: `${origins[0] ?? ''}/accounts` }), {
      target: '//two.bank.example:8443/accounts',
    });
    expect((await api.ask(slashes)).status).toBe(401);
  });

  it('needs a nonce of the last two minutes where there is a secret for them', async () => {
    const api = protectedApi(world, clock, { dpop: { nonceSecret: secret } });
    const nonceOf = (answer: { headers: Readonly<Record<string, unknown>> }) =>
      String(answer.headers['dpop-nonce']);
    const first = await api.ask(asked(await proof()));
    expect(first).toMatchObject({ status: 401, error: 'use_dpop_nonce' });
    expect(first).toHaveProperty('challenges', [expect.stringContaining('use_dpop_nonce')]);
    const nonce = nonceOf(first);
    const second = await api.ask(asked(await proof({ nonce })));
    expect(second.status).toBe(200);
    expect(nonceOf(second)).toBe(nonce);
    expect((await api.ask(asked(await proof({ nonce: 'x' })))).status).toBe(401);
    // Another process with the same secret.
    const beside = protectedApi(world, clock, { dpop: { nonceSecret: secret } });
    expect((await beside.ask(asked(await proof({ nonce })))).status).toBe(200);
    const stranger = protectedApi(world, clock, { dpop: { nonceSecret: 't'.repeat(32) } });
    expect((await stranger.ask(asked(await proof({ nonce })))).status).toBe(401);
    clock.advance(60);
    expect((await api.ask(asked(await proof({ nonce })))).status).toBe(200);
    clock.advance(60);
    expect((await api.ask(asked(await proof({ nonce })))).status).toBe(401);
    const bearer = await api.bearer(await world.token());
    expect(bearer.headers).not.toHaveProperty('dpop-nonce');
  });

  it('may have its proofs remembered in a store that several processes share', async () => {
    const seen: { id: string; expiresAt: Date }[] = [];
    const replays = {
      firstUse: (id: string, expiresAt: Date) =>
        Promise.resolve(seen.push({ id, expiresAt }) === 1),
    };
    const [one, two] = [0, 1].map(() => protectedApi(world, clock, { dpop: { replays } }));
    const once = await proof();
    expect((await one?.ask(asked(once)))?.status).toBe(200);
    expect((await two?.ask(asked(once)))?.status).toBe(401);
    expect(seen[0]?.id).toHaveLength(43);
    expect(seen[0]?.expiresAt.getTime()).toBe(clock.now().getTime() + 76_000);
    const failing = { firstUse: () => Promise.reject(new Error('no store')) };
    const api = protectedApi(world, clock, { dpop: { replays: failing } });
    expect((await api.ask(asked(await proof()))).status).toBe(503);
  });

  it('is not taken twice by a proof that is ahead, down to the last moment', async () => {
    const api = protectedApi(world, clock);
    const ahead = await proof({ claims: { iat: epochSeconds(clock) + 15 } });
    expect((await api.ask(asked(ahead))).status).toBe(200);
    clock.advance(75.999);
    const still = await proof({ claims: { iat: epochSeconds(clock) - 60 } });
    expect((await api.ask(asked(still))).status).toBe(200); // the control: its time is not over
    expect((await api.ask(asked(ahead))).status).toBe(401);
    expect(api.errors).toEqual([]);
  });

  it('does not fill the memory before it is known to be good', async () => {
    const seen: string[] = [];
    const replays = { firstUse: (id: string) => seen.push(id) > 0 };
    const api = protectedApi(world, clock, { dpop: { replays } });
    await api.ask(asked(await proof({ key: await newClientKey() })));
    token = await world.token({ cnf: { jkt: key.thumbprint }, aud: 'https://other.example' });
    await api.ask(asked(await proof()));
    expect(seen).toEqual([]);
  });
});

describe('The memory of proofs', () => {
  it('forgets what can not come again, and nothing before', () => {
    const memory = createReplayMemory(() => clock.now(), 2);
    const use = (id: string) => memory.firstUse(id, new Date(clock.now().getTime() + 75_000));
    expect([use('a'), use('a')]).toEqual([true, false]);
    clock.advance(74);
    expect([use('a'), use('b')]).toEqual([false, true]);
    expect(() => use('c')).toThrow('too many');
    clock.advance(1);
    expect([use('c'), use('b')]).toEqual([true, false]);
  });
});

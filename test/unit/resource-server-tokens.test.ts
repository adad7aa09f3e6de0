import type { CryptoKey } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds } from '../../src/clock.ts';
import { createResourceServer } from '../../src/edge/resource-server/resource-server.ts';
import type { ResourceServerOptions } from '../../src/edge/resource-server/resource-server.ts';
import { forgeries } from '../support/forged-jwt.ts';
import {
  audience,
  issuer,
  movableClock,
  protectedApi,
  requestWith,
  standInIssuer,
} from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';

const clock = movableClock();
let world: StandInIssuer;
let api: ReturnType<typeof protectedApi>;

beforeAll(async () => {
  world = await standInIssuer(clock, ['RS256', 'PS256', 'ES256', 'EdDSA', 'ES384']);
  api = protectedApi(world, clock);
});

const now = () => epochSeconds(clock);

describe('A token', () => {
  it('is taken in each of the four algorithms, and in no other', async () => {
    for (const key of world.keys) {
      const { status } = await api.bearer(await world.token({}, {}, key));
      expect([key.alg, status]).toEqual([key.alg, key.alg === 'ES384' ? 401 : 200]);
    }
    const only = protectedApi(world, clock, { algorithms: ['PS256'] });
    const statuses = await Promise.all(
      world.keys.map(async (key) => (await only.bearer(await world.token({}, {}, key))).status),
    );
    expect(statuses).toEqual([401, 200, 401, 401, 401]);
  });

  it('says who calls, for whom, and how long', async () => {
    const details = [{ type: 'account_information' }];
    const claims = { consent_id: 'c1', grant_id: 'g1', acr: 'urn:x', auth_time: now() - 5 };
    const token = await world.token({ ...claims, jti: 't1', authorization_details: details });
    expect(await api.bearer(token)).toMatchObject({
      token: {
        ...{ subject: 'casey', clientId: 'tpp', scopes: ['accounts'], expiresAt: now() + 300 },
        ...{ tokenId: 't1', grantId: 'g1', consentId: 'c1', consent: undefined },
        ...{ acr: 'urn:x', authTime: now() - 5, authorizationDetails: details },
      },
    });
  });

  it.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: 'https://other.example' }],
    ['another audience', { aud: 'https://other.example' }],
    ['an audience that only begins like ours', { aud: `${audience}.evil.example` }],
    ['no audience', { aud: undefined }],
    ['no time of end', { exp: undefined }],
    ['a time of end that is a text', { exp: '9999999999' }],
    ['no subject', { sub: undefined }],
    ['no client', { client_id: undefined }],
    ['a client that is no text', { client_id: 7 }],
    ['a scope that is a list', { scope: ['accounts'] }],
    ['no jti', { jti: undefined }],
    ['no time of issue', { iat: undefined }],
    ['authorization details that are no list', { authorization_details: {} }],
    ['a binding that is null', { cnf: null }],
    ['a binding that is empty', { cnf: {} }],
    ['an unknown binding', { cnf: { 'x5t#S1': 'a' } }],
    ['an unknown binding beside none', { cnf: { jkt: '', x: 'y' } }],
  ])('with %s is refused', async (_name, claims) => {
    const answer = await api.bearer(await world.token(claims));
    expect([answer.status, answer]).toEqual([
      401,
      expect.objectContaining({ error: 'invalid_token' }),
    ]);
  });

  it('ends in the second of its exp, and may come from a clock that is ahead by the lead', async () => {
    const statusOf = async (claims: Record<string, unknown>) =>
      (await api.bearer(await world.token(claims))).status;
    expect(await statusOf({ exp: now() + 1 })).toBe(200);
    expect(await statusOf({ exp: now() })).toBe(401);
    expect(await statusOf({ iat: now() + 15 })).toBe(200);
    expect(await statusOf({ iat: now() + 16 })).toBe(401);
    expect(await statusOf({ nbf: now() + 15 })).toBe(200);
    expect(await statusOf({ nbf: now() + 16 })).toBe(401);
    const strict = protectedApi(world, clock, { clockLeadSeconds: 0 });
    expect((await strict.bearer(await world.token({ iat: now() + 1 }))).status).toBe(401);
  });

  it.each(['JWT', 'at', 'logout+jwt', undefined])('of the type %s is refused', async (typ) => {
    expect((await api.bearer(await world.token({}, { typ }))).status).toBe(401);
  });

  it('that is forged is refused, whatever its header says, and nothing it names is fetched', async () => {
    const [rsa] = world.keys;
    if (rsa === undefined) throw new Error('no key');
    const times = { iat: now(), exp: now() + 300 };
    const names = { iss: issuer, aud: audience, sub: 's', client_id: 'c', jti: 'j' };
    const claim = { header: { typ: 'at+jwt' }, payload: { ...times, ...names } };
    const before = world.asked.length;
    const lure = `${issuer}/lure`;
    const { kid } = rsa;
    const key = { jwk: { ...rsa.jwk, ...(await privateJwkOf(rsa.privateKey)), kid }, alg: 'RS256' };
    const all = Object.entries(forgeries(key as Parameters<typeof forgeries>[0], claim, lure));
    for (const [name, token] of all) {
      const { status } = await api.bearer(token);
      expect([name, status === 401 || status === 400]).toEqual([name, true]);
    }
    expect(world.asked.slice(before).filter((path) => path.includes('lure'))).toEqual([]);
  });
});

async function privateJwkOf(key: CryptoKey): Promise<object> {
  const { d, p, q, dp, dq, qi } = await crypto.subtle.exportKey('jwk', key);
  return { d, p, q, dp, dq, qi };
}

describe('A challenge', () => {
  it('tells who brings no token what to bring, and no error', async () => {
    for (const authorization of [[], ['Basic abc'], ['bearerx']]) {
      const answer = await api.ask(requestWith({ authorization }));
      expect(answer).toMatchObject({ status: 401, error: undefined });
      expect(answer).toHaveProperty('challenges', [
        `Bearer realm="${audience}"`,
        `DPoP realm="${audience}", algs="ES256 PS256 EdDSA Ed25519"`,
      ]);
    }
  });

  it.each([
    ['two headers', ['Bearer a', 'Bearer a']],
    ['two tokens', 'Bearer a b'],
    ['no token', 'Bearer '],
    ['a comma', 'Bearer a, Bearer a'],
    ['a line break', 'Bearer a\n'],
    ['too long a token', `Bearer ${'a'.repeat(12_289)}`],
  ])('to %s is that of a malformed request', async (_name, authorization) => {
    const answer = await api.ask(requestWith({ authorization }));
    expect(answer).toMatchObject({ status: 400, error: 'invalid_request' });
  });

  it('names the scopes that are missing', async () => {
    const token = await world.token({ scope: 'accounts balances' });
    const requirement = { scope: ['accounts', 'payments'] };
    expect(await api.bearer(token, { scope: 'accounts balances' })).toMatchObject({ status: 200 });
    const answer = await api.bearer(token, requirement);
    expect(answer).toMatchObject({ status: 403, error: 'insufficient_scope' });
    expect(answer).toHaveProperty('challenges', [
      `Bearer realm="${audience}", error="insufficient_scope", error_description="the token is not for this", scope="accounts payments"`,
    ]);
    const none = await api.bearer(await world.token({ scope: undefined }), requirement);
    expect(none.status).toBe(403);
  });

  it('says how the customer must authenticate (RFC 9470)', async () => {
    const requirement = { acr: ['urn:strong', 'urn:stronger'], maxAgeSeconds: 60 };
    const ask = async (claims: Record<string, unknown>) =>
      api.bearer(await world.token(claims), requirement);
    expect((await ask({ acr: 'urn:stronger', auth_time: now() - 60 })).status).toBe(200);
    for (const claims of [
      { acr: 'urn:weak', auth_time: now() },
      { auth_time: now() },
      { acr: 'urn:strong', auth_time: now() - 61 },
      { acr: 'urn:strong' },
    ]) {
      const answer = await ask(claims);
      expect(answer).toMatchObject({ status: 401, error: 'insufficient_user_authentication' });
      expect(answer).toHaveProperty('challenges', [
        expect.stringContaining('acr_values="urn:strong urn:stronger", max_age="60"'),
      ]);
    }
  });
});

const client = { id: 'api', secret: 'secret' };
const proxy = { header: 'client-cert', format: 'pem' as const, secrets: ['s'.repeat(32)] };

describe('Options that could not be meant', () => {
  it.each<[string, Partial<ResourceServerOptions>]>([
    ['an issuer without TLS', { issuer: 'http://as.bank.example' }],
    ['an issuer with a query', { issuer: 'https://as.bank.example/?x=1' }],
    ['an audience with a quote', { audience: 'a"b' }],
    ['no algorithm', { algorithms: [] }],
    ['a symmetric algorithm', { algorithms: ['HS256' as 'RS256'] }],
    ['a long lead', { clockLeadSeconds: 61 }],
    ['introspection without a client', { introspection: 'always' }],
    ['consents without a client', { consents: true }],
    ['a proxy that anybody could be', { proxy: { header: 'client-cert', format: 'rfc9440' } }],
    [
      'a proxy with a short secret',
      { proxy: { header: 'client-cert', format: 'rfc9440', secrets: ['short'] } },
    ],
    ['a short nonce secret', { dpop: { nonceSecret: 'short' } }],
    ['an origin with a path', { dpop: { origins: ['https://api.bank.example/v1'] } }],
    ['a key set without TLS', { keySetUrl: 'http://as.bank.example/jwks' }],
    ['an option that there is not', { unboundToken: 'accept' } as object],
    ['another word about tokens without a binding', { unboundTokens: 'deny' as 'refuse' }],
    ['another word about introspection', { client, introspection: 'alway' as 'always' }],
    ['a flag that is a text', { client, consents: 'no' as unknown as boolean }],
    ['a number that is a text', { clockLeadSeconds: '15' as unknown as number }],
    ['a list that is a text', { algorithms: 'RS256' as unknown as [] }],
    ['a client without a secret', { client: { id: 'api' } as typeof client }],
    ['a client with more', { client: { ...client, scope: 'x' } as typeof client }],
    ['another form of certificates', { proxy: { ...proxy, format: 'der' as 'pem' } }],
    [
      'no form of certificates',
      { proxy: { ...proxy, format: undefined } as typeof proxy & object },
    ],
    ['a misspelt secret', { proxy: { ...proxy, secret: 's'.repeat(32) } as typeof proxy }],
    ['a misspelt nonce', { dpop: { nonce: 's'.repeat(32) } as object }],
    ['an audience that is missing', { audience: undefined as unknown as string }],
  ])('are refused at once: %s', (_name, options) => {
    expect(() => createResourceServer({ issuer, audience, ...options })).toThrow(TypeError);
  });

  it('are those of a route, too', () => {
    const { api: server } = protectedApi(world, clock);
    expect(() => server.koa({ scope: ['a"b'] })).toThrow(TypeError);
    expect(() => server.express({ consent: 'required' })).toThrow(TypeError);
    expect(() => server.koa({ permission: 'ReadBalances' })).toThrow(TypeError);
  });

  it.each<[string, object]>([
    ['misspelt', { scopes: 'accounts' }],
    ['a list of scopes in a list', { scope: [['accounts']] }],
    ['one acr instead of a list', { acr: 'urn:strong' }],
    ['an age that is a text', { maxAgeSeconds: '60' }],
    ['an age that is none', { maxAgeSeconds: Number.NaN }],
    ['another word about consents', { consent: 'optional' }],
  ])('protect no route: %s', (_name, requirement) => {
    const options = { issuer, audience, client, consents: true };
    expect(() => createResourceServer(options).koa(requirement)).toThrow(TypeError);
  });

  it('are not made of what was left out', () => {
    const options = { proxy, client, dpop: { origins: undefined }, onError: undefined };
    const given = { issuer, audience, ...options } as unknown as ResourceServerOptions;
    const requirement = { scope: 'accounts', acr: undefined } as unknown as { scope: string };
    expect(() => createResourceServer(given).koa(requirement)).not.toThrow();
  });

  it('leave tokens without a binding refused unless said', async () => {
    const strict = protectedApi(world, clock, { unboundTokens: undefined as unknown as 'refuse' });
    expect((await strict.bearer(await world.token())).status).toBe(401);
  });
});

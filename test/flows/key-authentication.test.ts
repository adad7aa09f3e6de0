import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { discover } from '../support/openid.ts';
import { asserted, auditOf, clientAssertion, post, rows } from '../support/protocol.ts';
import type { Answer, AssertionOptions } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
type Algorithm = (typeof algorithms)[number];
interface Key {
  kid: string;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
}

let server: AuthorizationServer;
/** Another process on the same database. */
let second: AuthorizationServer;
let keys: Record<Algorithm, Key>;
let otherKey: Key;

async function newKey(algorithm: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { kid: await calculateJwkThumbprint(await exportJWK(publicKey)), privateKey, publicKey };
}

async function publicJwk({ kid, publicKey }: Key, alg?: string) {
  return { ...(await exportJWK(publicKey)), kid, ...(alg === undefined ? {} : { alg }) };
}

beforeAll(async () => {
  const made = await Promise.all(algorithms.map(async (alg) => [alg, await newKey(alg)] as const));
  keys = Object.fromEntries(made) as typeof keys;
  otherKey = await newKey('ES256');
  const registration = (client_id: string, jwks: object[], more = {}) => ({
    metadata: {
      client_id,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: jwks },
      ...more,
    },
    permissions: { [accountsApi]: ['accounts'] },
  });
  const own = await Promise.all(algorithms.map((alg) => publicJwk(keys[alg], alg)));
  server = await startAuthorizationServer({
    clients: [
      registration('robot', own),
      registration('other-robot', [await publicJwk(otherKey, 'ES256')]),
      registration('strict', own, { token_endpoint_auth_signing_alg: 'PS256' }),
    ],
  });
  second = await startAuthorizationServer({ beside: server });
});

afterAll(async () => {
  await second.stop();
  await server.stop();
});

interface Request extends Partial<AssertionOptions> {
  form?: Record<string, string>;
}

function assertion(options: Partial<AssertionOptions> = {}): Promise<string> {
  const { kid, privateKey } = keys.ES256;
  const usual = { clientId: 'robot', key: privateKey, kid, alg: 'ES256', audience: server.issuer };
  return clientAssertion({ ...usual, ...options });
}

function present(jwt: string, form: Record<string, string> = {}): Promise<Answer> {
  return post(server.fetch(), `${server.issuer}/token`, {
    form: { grant_type: 'client_credentials', scope: 'accounts', ...asserted(jwt), ...form },
  });
}

async function requestToken({ form, ...options }: Request = {}): Promise<Answer> {
  return present(await assertion(options), form);
}

async function expectRefused(answer: Answer, reason: RegExp): Promise<void> {
  expect([answer.status, answer.body]).toEqual([
    401,
    { error: 'invalid_client', error_description: 'client authentication failed' },
  ]);
  const [event] = await auditOf(server, answer);
  expect(event).toMatchObject({ type: 'client.authentication_failed', outcome: 'refused' });
  expect(event?.detail['reason']).toMatch(reason);
}

describe('A client with a key', () => {
  it.each(algorithms)('is known by an assertion signed with %s', async (alg) => {
    const { privateKey: key, kid } = keys[alg];
    expect((await requestToken({ key, kid, alg })).status).toBe(200);
  });

  it('is known by what a real client library sends', async () => {
    const { privateKey: key, kid } = keys.ES256;
    const configuration = await discover(server, {
      id: 'robot',
      authentication: openid.PrivateKeyJwt({ key, kid }),
    });
    const token = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
    expect(token.scope).toBe('accounts');
  });

  it('is known without a key id when one key fits', async () => {
    const { privateKey: key } = keys.ES256;
    const jwt = await clientAssertion({
      clientId: 'robot',
      key,
      alg: 'ES256',
      audience: server.issuer,
    });
    expect((await present(jwt)).status).toBe(200);
  });

  it('may name the issuer, the token endpoint or several in "aud"', async () => {
    const endpoint = `${server.issuer}/token`;
    for (const audience of [endpoint, [server.issuer], ['https://elsewhere.example', endpoint]]) {
      expect((await requestToken({ audience })).status).toBe(200);
    }
  });

  it('may name the alias for certificates in "aud" there', async () => {
    const endpoint = `${server.mtlsOrigin}/token`;
    const form = {
      grant_type: 'client_credentials',
      ...asserted(await assertion({ audience: endpoint })),
    };
    expect((await post(server.fetch(), endpoint, { form })).status).toBe(200);
  });

  it('need not repeat its name beside the assertion, but may not give another', async () => {
    expect((await requestToken({ form: { client_id: 'robot' } })).status).toBe(200);
    const other = await requestToken({ form: { client_id: 'other-robot' } });
    expect([other.status, other.body['error']]).toEqual([400, 'invalid_request']);
  });
});

const now = () => epochSeconds(systemClock);

describe('An assertion', () => {
  it.each([
    ['for somebody else', () => ({ aud: 'https://elsewhere.example' }), /audience/],
    ['for a longer name', () => ({ aud: `${server.issuer}.evil.example` }), /audience/],
    ['for nobody', () => ({ aud: undefined }), /aud/],
    ['expired', () => ({ iat: now() - 600, exp: now() - 60 }), /exp/],
    ['without an end', () => ({ exp: undefined }), /expiration/],
    ['from the future', () => ({ iat: now() + 300 }), /iat .* in the future/],
    ['that lives for a day', () => ({ exp: now() + 86_400 }), /too far ahead/],
    ['that lives for ever', () => ({ exp: 1e15 }), /too far ahead/],
    ['not valid yet', () => ({ nbf: now() + 300 }), /not active|nbf/],
    ['without an id', () => ({ jti: undefined }), /jti/],
    ['with an empty id', () => ({ jti: '' }), /jti/],
    ['of another issuer', () => ({ iss: 'other-robot' }), /iss/],
    ['of no issuer', () => ({ iss: undefined }), /iss/],
  ])('%s is refused', async (_name, claims, reason) => {
    await expectRefused(await requestToken({ claims: claims() }), reason);
  });

  it('about another client is that client’s, whose key did not sign', async () => {
    await expectRefused(await requestToken({ claims: { sub: 'other-robot' } }), /./);
    await expectRefused(await requestToken({ claims: { sub: 'nobody' } }), /not found/);
    const none = await requestToken({ claims: { sub: undefined } });
    expect(none.text).not.toContain('access_token');
    expect(none.body['error']).toBe('invalid_client');
  });

  it('signed by another client, by an unknown key or by nobody is refused', async () => {
    const { kid } = keys.ES256;
    const { privateKey: key } = otherKey;
    await expectRefused(await requestToken({ key }), /signature/);
    await expectRefused(await requestToken({ key, kid: otherKey.kid }), /./);
    await expectRefused(await requestToken({ kid: 'unknown' }), /./);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: 'robot', sub: 'robot', aud: server.issuer, jti: randomUUID() };
    const body = part({ ...claims, iat: now(), exp: now() + 60 });
    for (const alg of ['none', 'None', 'NONE', '']) {
      await expectRefused(await present(`${part({ alg, kid })}.${body}.`), /alg|./);
    }
  });

  it('"signed" with the public key as a password is refused', async () => {
    const { publicKey, kid } = keys.RS256;
    const secret = Buffer.from(await exportSPKI(publicKey));
    const claims = { iss: 'robot', sub: 'robot', aud: server.issuer, jti: randomUUID() };
    const jwt = await new SignJWT({ ...claims, iat: now(), exp: now() + 60 })
      .setProtectedHeader({ alg: 'HS256', kid })
      .sign(secret);
    await expectRefused(await present(jwt), /alg/);
  });

  it('that says "kept as a digest" or the client’s name with a password is refused', async () => {
    const claims = { iss: 'web', sub: 'web', aud: server.issuer, jti: randomUUID() };
    const jwt = await new SignJWT({ ...claims, iat: now(), exp: now() + 60 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from('kept as a digest'.padEnd(32, '\0')));
    await expectRefused(await present(jwt), /./);
  });

  it('in another algorithm than the registered one is refused', async () => {
    const { privateKey: key, kid } = keys.PS256;
    expect((await requestToken({ clientId: 'strict', alg: 'PS256', key, kid })).status).toBe(200);
    await expectRefused(await requestToken({ clientId: 'strict' }), /alg/);
  });

  it('that was changed is refused', async () => {
    const [header = '', payload = '', signature = ''] = (await assertion()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const longer = Buffer.from(JSON.stringify({ ...claims, exp: now() + 50 })).toString(
      'base64url',
    );
    await expectRefused(await present([header, longer, signature].join('.')), /signature/);
    for (const broken of ['x', 'a.b.c', `${header}.${payload}`, `${header}.${payload}.`]) {
      const { status, text } = await present(broken);
      expect([400, 401]).toContain(status);
      expect(text).not.toContain('access_token');
    }
  });

  it('of another type is refused', async () => {
    const form = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
    };
    const { status, body } = await requestToken({ form });
    expect([status, body['error']]).toEqual([400, 'invalid_request']);
  });
});

describe('An assertion that is used again', () => {
  it('is refused, at every endpoint', async () => {
    const jwt = await assertion();
    expect((await present(jwt)).status).toBe(200);
    await expectRefused(await present(jwt), /jti|used|replay/i);
    const form = { token: 'x', ...asserted(jwt) };
    const revoke = await post(server.fetch(), `${server.issuer}/revoke`, { form });
    expect([revoke.status, revoke.body['error']]).toEqual([401, 'invalid_client']);
  });

  it('does not keep another client from using the same id', async () => {
    const jti = randomUUID();
    expect((await requestToken({ claims: { jti } })).status).toBe(200);
    const { privateKey: key, kid } = otherKey;
    const other = await requestToken({ clientId: 'other-robot', key, kid, claims: { jti } });
    expect(other.status).toBe(200);
  });

  it('is forgotten only after its end', async () => {
    const exp = now() + 3000;
    expect((await requestToken({ claims: { exp } })).status).toBe(200);
    const [last] = await rows(server, 'SELECT max(expires_at) AS at FROM replay_identifiers');
    expect((last?.['at'] as Date).getTime()).toBeGreaterThanOrEqual(exp * 1000);
  });

  it('fifty times at once on two servers succeeds exactly once', async () => {
    const form = { grant_type: 'client_credentials', ...asserted(await assertion()) };
    const fetchers = [server.fetch(), second.fetch()];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        post(fetchers[i % 2] ?? fetch, `${server.issuer}/token`, { form }),
      ),
    );
    const outcomes = answers.map(
      ({ status, body }) => `${String(status)} ${String(body['error'])}`,
    );
    expect(outcomes.filter((outcome) => outcome === '200 undefined')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === '401 invalid_client')).toHaveLength(49);
  });
});

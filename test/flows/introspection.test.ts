import { X509Certificate } from 'node:crypto';
import { importJWK, SignJWT, decodeJwt, decodeProtectedHeader, generateKeyPair } from 'jose';
import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import { certificateThumbprint } from '../../src/tls/client-certificate.ts';
import { auditOf, basic, post } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { customerTokens, introspect, machineTokens } from '../support/tokens.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

const inactive = { active: false };
const accounts = { resource: accountsApi, scope: 'openid accounts' };
const statements = { resource: opaqueApi, scope: 'statements' };

describe('A resource server that asks about a token for itself', () => {
  it('learns all about a customer’s JWT', async () => {
    const { accessToken } = await customerTokens(server, 'tpp', accounts);
    const claims = decodeJwt(accessToken);
    const answer = await introspect(server, accessToken);
    const thumbprint = certificateThumbprint(new X509Certificate(server.tpp.certificatePem));
    expect(answer.body).toMatchObject({
      active: true,
      iss: server.issuer,
      sub: server.customer.id,
      client_id: 'tpp',
      scope: 'openid accounts',
      exp: claims.exp,
      iat: claims.iat,
      jti: claims.jti,
      amr: ['pwd'],
      cnf: { 'x5t#S256': thumbprint },
    });
    expect([answer.body['aud']].flat()).toContain(accountsApi);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('learns all about a customer’s opaque token', async () => {
    const { accessToken } = await customerTokens(server, 'web', statements);
    expect(accessToken).not.toContain('.');
    const { body } = await introspect(server, accessToken, { as: 'opaque-rs' });
    expect(body).toMatchObject({
      active: true,
      sub: server.customer.id,
      client_id: 'web',
      aud: opaqueApi,
      scope: 'statements',
      token_type: 'Bearer',
    });
    expect(JSON.stringify(body)).not.toContain(accessToken);
  });

  it('learns all about a machine’s tokens', async () => {
    const { jwt, opaque } = await machineTokens(server, 'web');
    expect((await introspect(server, jwt)).body).toMatchObject({
      active: true,
      client_id: 'web',
      aud: accountsApi,
    });
    const { body } = await introspect(server, opaque, { as: 'opaque-rs' });
    expect(body).toMatchObject({ active: true, client_id: 'web', aud: opaqueApi });
    for (const member of ['sub', 'amr', 'auth_time']) expect(body).not.toHaveProperty(member);
  });

  it('is told the same whatever hint it gives', async () => {
    const { jwt } = await machineTokens(server, 'web');
    for (const hint of ['access_token', 'refresh_token', 'nonsense', '']) {
      const { body } = await post(server.fetch(), `${server.issuer}/introspect`, {
        form: { token: jwt, token_type_hint: hint },
        headers: basic('accounts-rs', server.secrets['accounts-rs']),
      });
      expect([hint, body['active']]).toEqual([hint, true]);
    }
  });

  it('leaves an audit event', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const [event] = await auditOf(server, await introspect(server, jwt));
    expect(event).toMatchObject({
      type: 'token.introspected',
      outcome: 'success',
      client_id: 'accounts-rs',
      detail: { tokenClient: 'web', active: true },
    });
    const [unknown] = await auditOf(server, await introspect(server, 'unknown'));
    expect(unknown).toMatchObject({ outcome: 'success', detail: { active: false } });
  });
});

describe('Nobody else learns anything', () => {
  it('not a resource server about another one’s tokens', async () => {
    const { jwt, opaque } = await machineTokens(server, 'web');
    expect((await introspect(server, jwt, { as: 'opaque-rs' })).body).toEqual(inactive);
    expect((await introspect(server, opaque, { as: 'accounts-rs' })).body).toEqual(inactive);
  });

  it('not a client, even about its own token', async () => {
    const { jwt, opaque } = await machineTokens(server, 'web');
    for (const token of [jwt, opaque]) {
      expect((await introspect(server, token, { as: 'web' })).body).toEqual(inactive);
    }
    const own = await machineTokens(server, 'tpp');
    const form = { token: own.jwt, client_id: 'tpp' };
    const asTpp = await post(server.fetch(server.tpp), `${server.mtlsOrigin}/introspect`, { form });
    expect([asTpp.status, asTpp.body]).toEqual([200, inactive]);
  });

  it('not a public client', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const form = { token: jwt, client_id: 'app' };
    const { status, text } = await post(server.fetch(), `${server.issuer}/introspect`, { form });
    expect([200, 401]).toContain(status);
    expect(text).not.toContain('"active":true');
  });

  it('not a caller who does not authenticate', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const url = `${server.issuer}/introspect`;
    const headers = basic('accounts-rs', server.secrets.web);
    const wrong = await post(server.fetch(), url, { form: { token: jwt }, headers });
    expect([wrong.status, wrong.body['error']]).toEqual([401, 'invalid_client']);
    const none = await post(server.fetch(), url, { form: { token: jwt } });
    expect(none.status).toBe(400);
    expect(none.text).not.toContain('active');
  });
});

describe('Inactive is', () => {
  it('a refresh token and an ID token', async () => {
    const { refreshToken, idToken } = await customerTokens(server, 'web', accounts);
    for (const token of [refreshToken, idToken]) {
      expect(token).not.toBe('');
      expect((await introspect(server, token)).body).toEqual(inactive);
    }
  });

  it.each(['x', 'jwt:x', '..', 'eyJ.eyJ.x', 'eyJhbGciOiJub25lIn0.e30.', 'null', 'é'.repeat(50)])(
    'what is no token: %s',
    async (token) => {
      const { status, body } = await introspect(server, token);
      expect([status, body]).toEqual([200, inactive]);
    },
  );

  it('a tampered JWT, and one that somebody else signed', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const header = decodeProtectedHeader(jwt);
    const claims = decodeJwt(jwt);
    const { jti: _jti, ...withoutId } = claims;
    const [own] = server.material.signingKeys;
    if (own === undefined) throw new Error('no signing key');
    const key = await importJWK({ ...own, key_ops: ['sign'] }, 'RS256');
    const { privateKey: foreignKey } = await generateKeyPair('RS256');
    const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [first = '', , last = ''] = jwt.split('.');
    const sign = (payload: JWTPayload, more: object = {}, by = key) =>
      new SignJWT(payload).setProtectedHeader({ ...header, alg: 'RS256', ...more }).sign(by);
    const now = Math.floor(secondsFromNow(systemClock, 0).getTime() / 1000);

    // The control: what this test signs itself with the server's key is accepted.
    expect(
      (await introspect(server, await sign({ ...claims, jti: 'made-here' }))).body,
    ).toMatchObject({
      active: true,
      jti: 'made-here',
    });
    const refused = [
      [first, base64({ ...claims, scope: 'admin' }), last].join('.'),
      `${base64({ ...header, alg: 'none' })}.${base64(claims)}.`,
      `${base64({ ...header, alg: 'none' })}.${base64(claims)}.${last}`,
      await sign(claims, {}, foreignKey),
      await sign({ ...claims, iss: 'https://elsewhere.example' }),
      await sign({ ...claims, exp: now - 60 }),
      await sign(claims, { typ: 'JWT' }),
      await sign(claims, { typ: 'logout+jwt' }),
      await sign({ ...claims, aud: 'https://elsewhere.example' }),
      await sign({ ...claims, client_id: 'nobody' }),
      await sign({ ...claims, grant_id: 'nothing' }),
      await sign(withoutId),
    ];
    for (const [index, token] of refused.entries()) {
      expect([index, (await introspect(server, token)).body]).toEqual([index, inactive]);
    }
  });

  it('what belongs to a client that was suspended, and active again after', async () => {
    const tokens = await machineTokens(server, 'web');
    const customers = await customerTokens(server, 'web', statements);
    const ask = async () => [
      (await introspect(server, tokens.jwt)).body['active'],
      (await introspect(server, tokens.opaque, { as: 'opaque-rs' })).body['active'],
      (await introspect(server, customers.accessToken, { as: 'opaque-rs' })).body['active'],
    ];
    const { clients } = server.running.app;
    expect(await ask()).toEqual([true, true, true]);
    await clients.setStatus('web', 'suspended');
    const suspended = await ask();
    await clients.setStatus('web', 'active');
    expect(suspended).toEqual([false, false, false]);
    expect(await ask()).toEqual([true, true, true]);
  });

  it('what belongs to a customer who was suspended, and active again after', async () => {
    const jwt = await customerTokens(server, 'web', accounts);
    const opaque = await customerTokens(server, 'web', statements);
    const ask = async () => [
      (await introspect(server, jwt.accessToken)).body['active'],
      (await introspect(server, opaque.accessToken, { as: 'opaque-rs' })).body['active'],
    ];
    const { customers } = server.running.app;
    expect(await ask()).toEqual([true, true]);
    await customers.setStatus(server.customer.id, 'suspended');
    const suspended = await ask();
    await customers.setStatus(server.customer.id, 'active');
    expect(suspended).toEqual([false, false]);
    expect(await ask()).toEqual([true, true]);
  });

  it('what belongs to a client that was deleted', async () => {
    const own = await startAuthorizationServer();
    try {
      const machine = await machineTokens(own, 'web');
      const jwt = await customerTokens(own, 'web', accounts);
      const opaque = await customerTokens(own, 'web', statements);
      await own.running.app.clients.delete('web');
      for (const [token, as] of [
        [machine.jwt, 'accounts-rs'],
        [machine.opaque, 'opaque-rs'],
        [jwt.accessToken, 'accounts-rs'],
        [opaque.accessToken, 'opaque-rs'],
      ] as const) {
        const { status, body } = await introspect(own, token, { as });
        expect([status, body]).toEqual([200, inactive]);
      }
    } finally {
      await own.stop();
    }
  });
});

describe('A request that is not in order', () => {
  it('is refused: no token, two tokens, GET', async () => {
    const url = `${server.issuer}/introspect`;
    const headers = basic('accounts-rs', server.secrets['accounts-rs']);
    const none = await post(server.fetch(), url, { form: {}, headers });
    const two = await post(server.fetch(), url, {
      form: [
        ['token', 'a'],
        ['token', 'b'],
      ],
      headers,
    });
    const { jwt } = await machineTokens(server, 'web');
    const same = await post(server.fetch(), url, {
      form: [
        ['token', jwt],
        ['token', jwt],
      ],
      headers,
    });
    for (const { status, body } of [none, two, same]) {
      expect([status, body['error']]).toEqual([400, 'invalid_request']);
    }
  });
});

import { X509Certificate, createHash } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import {
  authorize,
  callbacks,
  discoverApp,
  discoverWeb,
  errorOf,
  introspect,
  obtainTokens,
} from '../support/journey.ts';
import { discover, discoverTpp } from '../support/openid.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

const algorithms = ['PS256', 'ES256', 'EdDSA'] as const;
const apiFor = (algorithm: string) => `https://${algorithm.toLowerCase()}.example.com`;
const shortApi = 'https://short.example.com';
const scopes = { read: { en: 'Read' } };

const resourceServers = [
  ...algorithms.map((signingAlgorithm) => ({
    identifier: apiFor(signingAlgorithm),
    name: signingAlgorithm,
    signingAlgorithm,
    scopes,
  })),
  { identifier: shortApi, name: 'Short', accessTokenTtlSeconds: 60, scopes },
];

const reader = {
  metadata: {
    client_id: 'reader',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=reader',
  },
  permissions: Object.fromEntries(resourceServers.map(({ identifier }) => [identifier, ['read']])),
};

let server: AuthorizationServer;
let tpp: openid.Configuration;
let web: openid.Configuration;
let readerCertificate: IssuedCertificate;
let readerClient: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer({ algorithms, resourceServers, clients: [reader] });
  tpp = await discoverTpp(server);
  web = await discoverWeb(server);
  readerCertificate = await clientCertificate(server.certificates.authority, {
    subject: 'CN=reader',
  });
  readerClient = await discover(server, {
    id: 'reader',
    authentication: openid.TlsClientAuth(),
    certificate: readerCertificate,
  });
});

afterAll(() => server.stop());

const forTpp = { redirect_uri: callbacks.tpp, scope: 'openid accounts', resource: accountsApi };

async function verified(token: string, audience: string) {
  const response = await server.fetch()(`${server.issuer}/jwks`);
  const keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: server.issuer,
    audience,
    typ: 'at+jwt',
  });
  return { payload, header: protectedHeader };
}

/** RFC 8705 §3.1. */
function thumbprint({ certificatePem }: IssuedCertificate): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('base64url');
}

describe('An access token of a customer', () => {
  it('is a JWT by RFC 9068, signed by a published key', async () => {
    const { access_token, expires_in, token_type, scope } = await obtainTokens(server, web, {
      parameters: { redirect_uri: callbacks.web, scope: 'accounts', resource: accountsApi },
    });
    const { payload, header } = await verified(access_token, accountsApi);
    expect(header).toEqual({ alg: 'RS256', typ: 'at+jwt', kid: expect.any(String) as string });
    expect(payload).toEqual({
      iss: server.issuer,
      sub: server.customer.id,
      aud: accountsApi,
      client_id: 'web',
      scope: 'accounts',
      jti: expect.any(String) as string,
      iat: expect.any(Number) as number,
      exp: Number(payload.iat) + 600,
      acr: 'urn:countersign:acr:password',
      amr: ['pwd'],
      auth_time: expect.any(Number) as number,
      grant_id: expect.any(String) as string,
    });
    expect({ expires_in, token_type, scope }).toEqual({
      expires_in: 600,
      token_type: 'bearer',
      scope: 'accounts',
    });
  });

  it('has an identifier that never comes again', async () => {
    const first = await obtainTokens(server, tpp, { parameters: forTpp });
    const second = await openid.refreshTokenGrant(tpp, first.refresh_token ?? '');
    const ids = [first, second].map(({ access_token }) => decodeJwt(access_token).jti);
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toMatch(/^[\w-]{21,}$/);
  });

  it('is for userinfo too when openid was granted, and only then', async () => {
    const both = await obtainTokens(server, tpp, {
      parameters: { ...forTpp, scope: 'openid email accounts' },
    });
    expect(decodeJwt(both.access_token)).toMatchObject({
      aud: [accountsApi, `${server.issuer}/userinfo`],
      scope: 'openid email accounts',
    });
    const one = await obtainTokens(server, tpp, { parameters: { ...forTpp, scope: 'accounts' } });
    expect(decodeJwt(one.access_token)).toMatchObject({ aud: accountsApi, scope: 'accounts' });
  });

  it('is for the default resource server when none is named', async () => {
    const { resource: _, ...parameters } = { ...forTpp, scope: 'accounts' };
    const tokens = await obtainTokens(server, tpp, { parameters });
    expect(decodeJwt(tokens.access_token).aud).toBe(accountsApi);
  });

  it('is for the resource that the token request names, of those that were allowed', async () => {
    const { callback, checks } = await authorize(server, tpp, { parameters: forTpp });
    const tokens = await openid.authorizationCodeGrant(tpp, callback, checks, {
      resource: accountsApi,
    });
    expect(decodeJwt(tokens.access_token).aud).toContain(accountsApi);
    const other = openid.refreshTokenGrant(tpp, tokens.refresh_token ?? '', {
      resource: opaqueApi,
    });
    expect(await errorOf(other)).toBe('invalid_target');
  });

  it('is opaque where the resource server wants that, and says the same at introspection', async () => {
    const { access_token } = await obtainTokens(server, tpp, {
      parameters: { redirect_uri: callbacks.tpp, scope: 'statements', resource: opaqueApi },
    });
    expect(access_token).toMatch(/^[\w-]{43}$/);
    const told = await introspect(server, access_token, 'opaque-rs');
    expect(told).toMatchObject({
      active: true,
      iss: server.issuer,
      sub: server.customer.id,
      aud: opaqueApi,
      client_id: 'tpp',
      scope: 'statements',
      acr: 'urn:countersign:acr:password',
      amr: ['pwd'],
      auth_time: expect.any(Number) as number,
      cnf: { 'x5t#S256': thumbprint(server.tpp) },
    });
    expect(Number(told['exp']) - Number(told['iat'])).toBeLessThanOrEqual(900);
    const rows = await stored<{ row: string }>(
      server,
      'SELECT row_to_json(artifacts)::text AS row FROM artifacts',
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter(({ row }) => row.includes(access_token))).toEqual([]);
  });

  it('keeps telling when the customer logged in after a refresh', async () => {
    const first = await obtainTokens(server, tpp, { parameters: forTpp });
    const second = await openid.refreshTokenGrant(tpp, first.refresh_token ?? '');
    const { acr, amr, auth_time } = decodeJwt(first.access_token);
    expect(decodeJwt(second.access_token)).toMatchObject({ acr, amr, auth_time });
  });

  it('of a public client is bound to nothing', async () => {
    const { access_token } = await obtainTokens(server, await discoverApp(server), {
      parameters: { redirect_uri: callbacks.app, scope: 'accounts' },
    });
    expect(decodeJwt(access_token)['cnf']).toBeUndefined();
  });
});

describe('An access token of a client with a certificate', () => {
  it('is bound to the certificate', async () => {
    const { access_token } = await obtainTokens(server, tpp, { parameters: forTpp });
    expect(decodeJwt(access_token)['cnf']).toEqual({ 'x5t#S256': thumbprint(server.tpp) });
    expect(await introspect(server, access_token)).toMatchObject({
      cnf: { 'x5t#S256': thumbprint(server.tpp) },
    });
  });

  it('is about the client itself by the client credentials grant, and tells of no login', async () => {
    const { access_token } = await openid.clientCredentialsGrant(tpp, {
      scope: 'accounts',
      resource: accountsApi,
    });
    const { payload } = await verified(access_token, accountsApi);
    expect(payload).toEqual({
      iss: server.issuer,
      sub: 'tpp',
      aud: accountsApi,
      client_id: 'tpp',
      scope: 'accounts',
      jti: expect.any(String) as string,
      iat: expect.any(Number) as number,
      exp: Number(payload.iat) + 600,
      cnf: { 'x5t#S256': thumbprint(server.tpp) },
    });
  });
});

describe('A resource server', () => {
  it.each(algorithms)('that wants %s gets it, verifiable by the key set', async (algorithm) => {
    const resource = apiFor(algorithm);
    const { access_token } = await openid.clientCredentialsGrant(readerClient, {
      scope: 'read',
      resource,
    });
    const { header, payload } = await verified(access_token, resource);
    expect(header).toMatchObject({ alg: algorithm, typ: 'at+jwt' });
    expect(payload).toMatchObject({
      scope: 'read',
      cnf: { 'x5t#S256': thumbprint(readerCertificate) },
    });
  });

  it('that wants short tokens gets them', async () => {
    const tokens = await openid.clientCredentialsGrant(readerClient, {
      scope: 'read',
      resource: shortApi,
    });
    const { iat, exp } = decodeJwt(tokens.access_token);
    expect(Number(exp) - Number(iat)).toBe(60);
    expect(tokens.expires_in).toBe(60);
  });

  it('is not served by a key of another algorithm', async () => {
    const kids = new Map<string, string>();
    for (const algorithm of algorithms) {
      const { access_token } = await openid.clientCredentialsGrant(readerClient, {
        resource: apiFor(algorithm),
      });
      const { kid, alg } = decodeProtectedHeader(access_token);
      kids.set(String(alg), String(kid));
    }
    expect(new Set(kids.values()).size).toBe(algorithms.length);
  });

  it.each([59, 901, 3600])("can't have tokens that live %i s", (accessTokenTtlSeconds) => {
    const tooLong = { identifier: 'https://x.example', name: 'X', accessTokenTtlSeconds, scopes };
    expect(() => parseStaticConfiguration({ resourceServers: [tooLong] }, 'test')).toThrow(
      /accessTokenTtlSeconds/,
    );
  });
});

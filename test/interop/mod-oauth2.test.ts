import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { customerTokens } from '../support/tokens.ts';
import { machineToken, resigned, tampered } from './support/access-tokens.ts';
import { startApache } from './support/apache.ts';
import type { Apache } from './support/apache.ts';

let server: AuthorizationServer;
let apache: Apache;

beforeAll(async () => {
  server = await startAuthorizationServer();
  const [port, keysPort] = [await freePort(), await freePort()];
  const { server: certificate, authority: trusted } = server.certificates;
  apache = await startApache({
    port,
    certificate,
    trusted,
    modules: ['oauth2', 'proxy', 'proxy_http'],
    documents: { 'accounts.shtml': '<!--#echo var="OAUTH2_CLAIM_client_id" -->' },
    global: (path) => keysByProxy(path, keysPort),
    directives: () => resourceServer(keysPort),
  });
});

afterAll(async () => {
  await apache.stop();
  await server.stop();
});

/** mod_oauth2 can't be told an authority of its own: Apache's proxy can, and checks it. */
const keysByProxy = (path: string, port: number) => `
Listen 127.0.0.1:${String(port)}
<VirtualHost 127.0.0.1:${String(port)}>
  SSLProxyEngine on
  SSLProxyVerify require
  SSLProxyCACertificateFile "${path}/ca.crt"
  ProxyPass /jwks ${server.issuer}/jwks
</VirtualHost>`;

/**
 * Apache asks for what is required once before it has looked at the token, and would stop there if the
 * scope, which mod_oauth2 can't look into, were missing: the issuer above it is required in any case.
 */
const resourceServer = (keysPort: number) => `
  SSLVerifyClient optional_no_ca
  SSLOptions +StdEnvVars +ExportCertData
  <Location />
    AuthType oauth2
    OAuth2TokenVerify jwks_uri http://127.0.0.1:${String(keysPort)}/jwks type=mtls&mtls.policy=required&verify.exp=required
    OAuth2TargetPass envs=true&headers=false
    <RequireAll>
      Require oauth2_claim iss:${server.issuer}
      Require oauth2_claim aud:${accountsApi}
      Require expr "-z reqenv('OAUTH2_CLAIM_iss') || reqenv('OAUTH2_CLAIM_scope') =~ /(^| )accounts( |$)/"
    </RequireAll>
  </Location>`;

interface Call {
  token?: string;
  certificate?: IssuedCertificate;
}

async function call({ token, certificate }: Call) {
  const response = await server.fetch(certificate)(`${apache.origin}/accounts.shtml`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  return { status: response.status, body: await response.text() };
}

const newToken = () => machineToken(server, 'tpp');

describe('Apache mod_oauth2 as a resource server', () => {
  it('serves a token with the certificate that it is bound to', async () => {
    const answer = await call({ token: await newToken(), certificate: server.tpp });
    expect(answer).toMatchObject({ status: 200, body: 'tpp' });
  });

  it('refuses it with another certificate of the same name', async () => {
    const token = await newToken();
    const { authority } = server.certificates;
    const namesake = await clientCertificate(authority, { subject: tppSubject });
    expect(await call({ token, certificate: server.tpp })).toMatchObject({ status: 200 });
    expect(await call({ token, certificate: namesake })).toMatchObject({ status: 401 });
  });

  it('refuses it without a certificate', async () => {
    const token = await newToken();
    expect(await call({ token })).toMatchObject({ status: 401 });
    expect(await call({ token, certificate: server.tpp })).toMatchObject({ status: 200 });
  });

  it('refuses a request without a token', async () => {
    expect(await call({ certificate: server.tpp })).toMatchObject({ status: 401 });
  });

  it('refuses a token that is bound to nothing', async () => {
    const token = await machineToken(server, 'web');
    expect(decodeJwt(token)).not.toHaveProperty('cnf');
    expect(await call({ token, certificate: server.tpp })).toMatchObject({ status: 401 });
  });

  it('refuses an expired token', async () => {
    const token = await newToken();
    const { iat = 0 } = decodeJwt(token);
    const fresh = await resigned(server, token, { exp: iat + 60 });
    const expired = await resigned(server, token, { iat: iat - 120, exp: iat - 60 });
    expect(await call({ token: fresh, certificate: server.tpp })).toMatchObject({ status: 200 });
    expect(await call({ token: expired, certificate: server.tpp })).toMatchObject({ status: 401 });
  });

  it('refuses a token that was changed', async () => {
    const token = tampered(await newToken(), { client_id: 'another' });
    expect(await call({ token, certificate: server.tpp })).toMatchObject({ status: 401 });
  });

  it.each([
    ['of another issuer', { iss: 'https://other.example.com' }],
    ['for another resource server', { aud: 'https://other.example.com' }],
    ['without the scope', { scope: 'payments accounts-of-others' }],
  ])('refuses a token %s', async (_what, changed) => {
    const token = await resigned(server, await newToken(), changed);
    expect(await call({ token, certificate: server.tpp })).toMatchObject({ status: 401 });
  });

  it('refuses an ID token', async () => {
    const access = { resource: accountsApi, scope: 'openid accounts' };
    const { accessToken, idToken } = await customerTokens(server, 'tpp', access);
    const certificate = server.tpp;
    expect(await call({ token: accessToken, certificate })).toMatchObject({ status: 200 });
    expect(await call({ token: idToken, certificate })).toMatchObject({ status: 401 });
  });
});

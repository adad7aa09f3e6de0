import { randomBytes, X509Certificate } from 'node:crypto';
import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateHeaderKinds } from '../../src/tls/proxies/forwarded-certificate.ts';
import { issuedBy } from '../support/attack.ts';
import { createTestCertificates } from '../support/certificates.ts';
import { authorize, callbacks, postForm, userinfo } from '../support/journey.ts';
import { discoverTpp } from '../support/openid.ts';
import { startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let tpp: openid.Configuration;

async function proxySettings(): Promise<Record<string, string>> {
  const { authority } = await createTestCertificates();
  return {
    COUNTERSIGN_PROXY_TRUSTSTORE: authority.certificatePem,
    COUNTERSIGN_PROXY_NAMES: 'dns:proxy.bank.internal',
    COUNTERSIGN_PROXY_NETWORKS: '127.0.0.0/8',
    COUNTERSIGN_PROXY_SECRETS: randomBytes(32).toString('base64url'),
  };
}

/** How proxies tell of a certificate: RFC 9440, nginx, Apache, Envoy, Traefik, HAProxy, AWS, Azure, Google, Cloudflare. */
function spoofed(): Record<string, string> {
  const pem = server.tpp.certificatePem;
  const der = new X509Certificate(pem).raw.toString('base64');
  const encoded = encodeURIComponent(pem);
  const { fingerprint256 } = new X509Certificate(pem);
  return {
    'Client-Cert': `:${der}:`,
    'Client-Cert-Chain': `:${der}:`,
    'X-Client-Cert': encoded,
    'X-Client-Certificate': der,
    'X-SSL-Cert': encoded,
    'X-SSL-Client-Cert': encoded,
    'X-SSL-Client-Verify': 'SUCCESS',
    'X-SSL-Client-S-DN': tppSubject,
    'SSL-Client-Cert': encoded,
    'SSL-Client-Verify': 'SUCCESS',
    SSL_CLIENT_CERT: encoded,
    SSL_CLIENT_VERIFY: 'SUCCESS',
    'X-Forwarded-Client-Cert': `Hash=${fingerprint256};Cert="${encoded}";Subject="${tppSubject}"`,
    'X-Forwarded-Tls-Client-Cert': der,
    'X-Forwarded-Tls-Client-Cert-Info': `Subject="${tppSubject}"`,
    'X-Amzn-Mtls-Clientcert': encoded,
    'X-Amzn-Mtls-Clientcert-Leaf': encoded,
    'X-ARR-ClientCert': der,
    'X-Client-Cert-Present': 'true',
    'X-Client-Cert-Chain-Verified': 'true',
    'Cf-Client-Cert-Der-Base64': der,
    'X-TLS-Client-DN': tppSubject,
    'Eps-Dn': tppSubject,
    'Countersign-Proxy-Secret': 'guessed',
    'X-Amzn-WAF-Countersign-Proxy-Secret': 'guessed',
  };
}

describe.each(['none', ...certificateHeaderKinds])(
  'A certificate in a header is no certificate, where proxies send those of %s',
  (kind) => {
    beforeAll(async () => {
      const proxies = { ...(await proxySettings()), COUNTERSIGN_PROXY_CERTIFICATE_HEADER: kind };
      server = await startAuthorizationServer({ environment: kind === 'none' ? {} : proxies });
      tpp = await discoverTpp(server);
    });

    afterAll(() => server.stop());

    it.each(['public', 'mtls'] as const)(
      'at the token endpoint of the %s listener',
      async (listener) => {
        const origin = listener === 'mtls' ? server.mtlsOrigin : server.issuer;
        const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'tpp' });
        const attack = async () => {
          for (const [name, value] of Object.entries(spoofed())) {
            const headers = { [name]: value };
            const answer = await server.fetch()(`${origin}/token`, {
              method: 'POST',
              body,
              headers,
            });
            expect([answer.status, await answer.json()], `for ${name}`).toMatchObject([
              401,
              { error: 'invalid_client' },
            ]);
          }
          const all = { method: 'POST', body, headers: spoofed() };
          expect((await server.fetch()(`${origin}/token`, all)).status).toBe(401);
        };
        expect(await issuedBy(server, attack)).toBe(0);
      },
    );

    it('for a token that is bound to one', async () => {
      const parameters = { redirect_uri: callbacks.tpp, scope: 'openid accounts' };
      const { code, codeVerifier } = await authorize(server, tpp, { parameters });
      const { body } = await postForm(server, '/token', {
        parameters: {
          grant_type: 'authorization_code',
          client_id: 'tpp',
          code,
          code_verifier: codeVerifier,
          redirect_uri: callbacks.tpp,
        },
        certificate: server.tpp,
      });
      const token = String(body['access_token']);
      const stolen = await userinfo(server, token, { headers: spoofed() });
      expect(stolen).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
      expect((await userinfo(server, token, { certificate: server.tpp })).status).toBe(200);
    });

    it('beside one that counts', async () => {
      const own = server.fetch(server.tpp);
      const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'web' });
      const attack = async () => {
        const init = { method: 'POST', body, headers: spoofed() };
        const answer = await own(`${server.mtlsOrigin}/token`, init);
        expect(answer.status).toBe(401);
      };
      expect(await issuedBy(server, attack)).toBe(0);
    });
  },
);

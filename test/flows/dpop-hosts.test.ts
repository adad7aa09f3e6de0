import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendRaw } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient } from '../support/fapi.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { asserted, auditOf, clientAssertion, send } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const proxySecret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';
const credentials = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

let server: AuthorizationServer;
let key: ClientKey;
/** Calls the mTLS host with a certificate, or the public one without. */
let clients: Record<'mtls' | 'public', FapiClient>;

beforeAll(async () => {
  key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
    environment: {
      COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'rfc9440',
      COUNTERSIGN_PROXY_NETWORKS: '127.0.0.1/32',
      COUNTERSIGN_PROXY_SECRETS: proxySecret,
      COUNTERSIGN_REVOCATION: 'off',
    },
  });
  const means = { id: 'bank-app', key, proofKey: await newClientKey() };
  clients = {
    public: fapiClient(server, means),
    mtls: fapiClient(server, { ...means, certificate: server.tpp }),
  };
});

afterAll(() => server.stop());

const origins = () => ({ public: server.issuer, mtls: server.mtlsOrigin });

describe('openid-client with DPoP and the mTLS aliases', () => {
  it('pushes, exchanges, refreshes, and reads userinfo', async () => {
    const configuration = await discover(server, {
      id: 'bank-app',
      authentication: openid.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }),
      certificate: server.tpp,
    });
    const { userinfo_endpoint: userinfo } =
      configuration.serverMetadata().mtls_endpoint_aliases ?? {};
    expect(userinfo).toContain(server.mtlsOrigin);
    const DPoP = openid.getDPoPHandle(
      configuration,
      await openid.randomDPoPKeyPair('ES256', { extractable: true }),
    );
    const { checks, url } = await authorizationRequest(configuration, {
      redirect_uri: 'https://bank-app.example.com/callback',
      scope: 'openid accounts',
    });
    const parameters = new URL(url).searchParams;
    const pushed = await openid.buildAuthorizationUrlWithPAR(configuration, parameters, { DPoP });
    const callback = await createCustomerAgent(server).authorize(pushed.href);
    const tokens = await openid.authorizationCodeGrant(
      configuration,
      callback,
      checks,
      {},
      { DPoP },
    );
    expect(tokens.token_type).toBe('dpop');
    const refreshed = await openid.refreshTokenGrant(
      configuration,
      tokens.refresh_token ?? '',
      {},
      { DPoP },
    );
    const { access_token: token } = refreshed;
    const claims = await openid.fetchUserInfo(configuration, token, server.customer.id, { DPoP });
    expect(claims.sub).toBe(server.customer.id);
  });
});

describe.each(['public', 'mtls'] as const)('A proof at the %s host (RFC 9449 §4.3-9)', (host) => {
  const other = () => origins()[host === 'public' ? 'mtls' : 'public'];

  it.each(['/token', '/par'])('names that host at %s, and no other', async (path) => {
    const client = clients[host];
    const form = path === '/par' ? client.parameters : credentials;
    const good = await client.post(path, form);
    expect(good.status).toBe(path === '/par' ? 201 : 200);
    const refused = await client.post(path, form, { proof: { url: other() + path } });
    expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_dpop_proof']);
    const [event] = await auditOf(server, refused);
    expect(event?.detail['reason']).toContain('htu mismatch');
  });

  it('names that host at /userinfo, and no other', async () => {
    const client = clients[host];
    const callback = await client.authorize();
    const { body } = await client.exchange(callback.searchParams.get('code') ?? '');
    const accessToken = String(body['access_token']);
    const read = async (url: string) => {
      const proof = { key: client.proofKey, method: 'GET', accessToken, url: `${url}/userinfo` };
      const headers = { authorization: `DPoP ${accessToken}`, dpop: await dpopProof(proof) };
      const fetcher = server.fetch(host === 'mtls' ? server.tpp : undefined);
      return send(fetcher, `${origins()[host]}/userinfo`, { headers });
    };
    expect((await read(origins()[host])).status).toBe(200);
    const refused = await read(other());
    expect([refused.status, refused.body['error']]).toEqual([401, 'invalid_dpop_proof']);
  });

  it('names that host behind a proxy, and no other', async () => {
    const ask = async (url: string) => {
      const { proofKey } = clients[host];
      const assertion = await clientAssertion({
        clientId: 'bank-app',
        ...{ key: key.privateKey, kid: key.kid, alg: key.alg, audience: server.issuer },
      });
      const body = new URLSearchParams({ ...credentials, ...asserted(assertion) }).toString();
      const lines = [
        'POST /token HTTP/1.1',
        `Host: ${new URL(origins()[host]).host}`,
        'Content-Type: application/x-www-form-urlencoded',
        `Content-Length: ${String(body.length)}`,
        'Connection: close',
        `Countersign-Proxy-Secret: ${proxySecret}`,
        `DPoP: ${await dpopProof({ key: proofKey, url: `${url}/token` })}`,
      ];
      // Both hosts by one listener: the Host line alone says which.
      const { answers } = await sendRaw(server, `${lines.join('\r\n')}\r\n\r\n${body}`, {
        listener: 'public',
      });
      return answers[0];
    };
    const good = await ask(origins()[host]);
    expect([good?.status, good?.body]).toEqual([200, expect.stringContaining('"DPoP"')]);
    const refused = await ask(other());
    expect([refused?.status, refused?.body]).toEqual([
      400,
      expect.stringContaining('invalid_dpop_proof'),
    ]);
  });
});

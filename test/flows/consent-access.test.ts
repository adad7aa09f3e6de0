import { randomUUID } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  accessRequest,
  lodgeAccess,
  lodgePayment,
  opaqueBankApi,
  plainConsents,
  startConsentServer,
  ukAccess,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp, TppAnswer } from '../support/consents.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { auditOf, basic } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;
let other: Tpp;
let serverCertificate: IssuedCertificate;

/** Of a resource server that has no secret. */
const certificateApi = 'https://certificate-api.example.com';

beforeAll(async () => {
  const subject = 'CN=certificate-rs,O=Bank,C=GB';
  world = await startConsentServer({
    clients: [
      {
        metadata: {
          ...{ client_id: 'certificate-rs', grant_types: [] },
          ...{ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: subject },
        },
      },
    ],
  });
  ({ server, tpp, other } = world);
  await server.running.app.resourceServers.insert({
    ...{ identifier: certificateApi, name: 'API', scopes: { accounts: {} }, source: 'operator' },
    ...{ accessTokenFormat: 'jwt', accessTokenTtlSeconds: 600, signingAlgorithm: 'RS256' },
    introspectionClientId: 'certificate-rs',
  });
  await server.running.app.clients.setPermission('aisp', certificateApi, ['accounts']);
  serverCertificate = await clientCertificate(server.certificates.authority, { subject });
});

afterAll(() => server.stop());

const codesOf = ({ body }: TppAnswer) =>
  (body['Errors'] as { ErrorCode: string }[]).map(({ ErrorCode }) => ErrorCode);

const plainRequest = { type: 'accounts', permissions: ['balances'] };

describe('Who may call', () => {
  const read = async (call: Parameters<Tpp['call']>[2], as = tpp) =>
    as.call('GET', `${ukAccess}/${await lodgeAccess(tpp)}`, call);

  it.each(['', 'nonsense', 'eyJhbGciOiJub25lIn0.e30.'])('nobody with token “%s”', async (token) => {
    const refused = await read({ token });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  it('no token of another scope', async () => {
    const refused = await read({ scope: 'payments' });
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope"');
    const neutral = { scope: 'accounts', body: plainRequest };
    expect((await tpp.call('POST', plainConsents, neutral)).status).toBe(403);
  });

  it('no stolen token', async () => {
    expect((await read({ scope: 'accounts', certificate: other.certificate })).status).toBe(401);
  });

  it('no token for another resource server', async () => {
    const resource = opaqueBankApi;
    const token = await openid.clientCredentialsGrant(tpp.configuration, {
      resource,
      scope: 'accounts',
    });
    expect((await read({ token: token.access_token })).status).toBe(401);
  });

  it('nobody without mTLS', async () => {
    const id = await lodgeAccess(tpp);
    const authorization = `Bearer ${await tpp.token('accounts')}`;
    const response = await server.fetch()(`${server.issuer}${ukAccess}/${id}`, {
      headers: { authorization },
    });
    expect(response.status).toBe(404);
  });

  it('tells a foreign consent from an unknown one to nobody', async () => {
    const own = await lodgeAccess(tpp);
    const payment = await lodgePayment(tpp);
    const unknown = `urn:countersign:consent:${'a'.repeat(32)}`;
    const bare = ({ status, body }: TppAnswer) => ({ status, body: { ...body, Id: '' } });
    const asOther = (method: string, id: string) =>
      other.call(method, `${ukAccess}/${id}`, { scope: 'accounts' });
    for (const method of ['GET', 'DELETE']) {
      const [foreign, missing] = [await asOther(method, own), await asOther(method, unknown)];
      expect(foreign.status).toBe(400);
      expect(codesOf(foreign)).toEqual(['U011']);
      expect(bare(foreign)).toEqual(bare(missing));
    }
    const asType = await tpp.call('GET', `${ukAccess}/${payment}`, { scope: 'accounts' });
    expect(codesOf(asType)).toEqual(['U011']);
    const asRegime = await tpp.call('GET', `${plainConsents}/${own}`, { scope: 'consents' });
    expect(asRegime.status).toBe(404);
    expect(await ukStatusOf(tpp, own)).toBe('AWAU');
  });

  it('nobody whose client is suspended', async () => {
    const id = await lodgeAccess(other);
    await server.running.app.clients.setStatus('other', 'suspended');
    const refused = await other.call('GET', `${ukAccess}/${id}`, { scope: 'accounts' });
    await server.running.app.clients.setStatus('other', 'active');
    expect(refused.status).toBe(401);
  });
});

describe('Headers', () => {
  it('echo the interaction id, or make one', async () => {
    const id = randomUUID();
    const headers = { 'x-fapi-interaction-id': id };
    const call = { scope: 'accounts', body: accessRequest };
    const echoed = await tpp.call('POST', ukAccess, { ...call, headers });
    expect(echoed.headers.get('x-fapi-interaction-id')).toBe(id);
    const made = await tpp.call('POST', ukAccess, call);
    expect(made.headers.get('x-fapi-interaction-id')).toMatch(/^[\da-f]{8}-/);
    const refused = await tpp.call('GET', `${ukAccess}/x`, {});
    expect(refused.headers.get('x-fapi-interaction-id')).toMatch(/^[\da-f]{8}-/);
  });

  it('forbid to store what clients read', async () => {
    const answer = await tpp.call('POST', ukAccess, { scope: 'accounts', body: accessRequest });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });
});

describe('The state of a consent', () => {
  const ask = (
    id: string,
    headers: Record<string, string>,
    path = `${plainConsents}/${id}/status`,
  ) => server.fetch()(server.issuer + path, { headers });

  it('is told to a resource server in a few bytes, and confirmed in fewer', async () => {
    const id = await lodgeAccess(tpp);
    const headers = basic('bank-rs', world.serverSecret);
    const answer = await ask(id, headers);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('private, max-age=1');
    const body = (await answer.json()) as Record<string, unknown>;
    expect(body).toMatchObject({
      id,
      status: 'awaiting-authorisation',
      client_id: 'aisp',
      accounts: [],
    });
    const etag = answer.headers.get('etag') ?? '';
    const confirmed = await ask(id, { ...headers, 'if-none-match': etag });
    expect({ status: confirmed.status, text: await confirmed.text() }).toEqual({
      status: 304,
      text: '',
    });
    await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    const after = await ask(id, { ...headers, 'if-none-match': etag });
    expect(after.status).toBe(200);
    expect(await after.json()).toMatchObject({ status: 'rejected' });
  });

  it.each([
    ['nobody', () => ({})],
    ['a wrong secret', () => basic('bank-rs', 'x'.repeat(43))],
    ['a client that is no resource server', () => basic('web', server.secrets.web)],
    ['a broken header', () => ({ authorization: 'Basic %%%' })],
  ])('is not told to %s', async (_who, headers) => {
    const refused = await ask(await lodgeAccess(tpp), headers());
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe('Basic realm="consents"');
  });

  it('is told to a resource server that has a certificate and no secret', async () => {
    const url = `${server.mtlsOrigin}${plainConsents}/${await lodgeAccess(tpp)}/status`;
    const answer = await server.fetch(serverCertificate)(url);
    expect([answer.status, await answer.json()]).toMatchObject([
      200,
      { status: 'awaiting-authorisation', client_id: 'aisp' },
    ]);
    expect((await auditOf(server, answer)).at(-1)).toMatchObject({
      ...{ type: 'consent.checked', actor_id: 'certificate-rs' },
      detail: { resourceServer: certificateApi },
    });
    expect((await server.fetch(tpp.certificate)(url)).status).toBe(401);
    expect((await server.fetch()(url)).status).toBe(401);
  });

  it('is not told to a resource server of the same scope at which its client may do nothing', async () => {
    const id = await lodgeAccess(other);
    const url = `${server.mtlsOrigin}${plainConsents}/${id}`;
    const asServer = server.fetch(serverCertificate);
    const missing = await asServer(`${server.mtlsOrigin}${plainConsents}/unknown/status`);
    for (const [path, init] of [
      ['/status', {}],
      [
        '/consumption',
        {
          method: 'POST',
          body: '{"payment_id":"evil"}',
          headers: { 'content-type': 'application/json' },
        },
      ],
    ] as const) {
      expect((await asServer(url + path, init)).status).toBe(missing.status);
    }
    expect(missing.status).toBe(404);
    const headers = basic('bank-rs', world.serverSecret);
    expect((await ask(id, headers)).status).toBe(200);
    await server.running.app.clients.setStatus('other', 'suspended');
    const known = await ask(id, headers);
    await server.running.app.clients.setStatus('other', 'active');
    expect(known.status).toBe(200);
  });

  it('is not told to a resource server without that scope', async () => {
    const headers = basic('opaque-rs', server.secrets['opaque-rs']);
    expect((await ask(await lodgeAccess(tpp), headers)).status).toBe(404);
    expect((await ask('unknown', basic('bank-rs', world.serverSecret))).status).toBe(404);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { codeIn, fapiClient, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { publicClient } from '../support/oauth-client.ts';
import { auditOf, post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const all = { [accountsApi]: ['accounts', 'payments'], [opaqueApi]: ['statements'] };

let server: AuthorizationServer;
/** Its refresh tokens rotate: what is refused must not use one up. */
let app: FapiClient;

beforeAll(async () => {
  server = await startAuthorizationServer({ clients: [publicClient('spa', all)] });
  const means = { id: 'spa', key: await newClientKey(), proofKey: false, asserts: false } as const;
  app = fapiClient(server, means);
});

afterAll(() => server.stop());
afterEach(() => permit(all));

async function permit(permissions: Record<string, string[]>): Promise<void> {
  const { clients } = server.running.app;
  const client = await clients.find('spa');
  if (client === undefined) throw new Error('no client');
  await clients.save({ ...client, permissions });
}

async function refreshToken(scope = 'openid accounts payments'): Promise<string> {
  const callback = await app.authorize({ ...app.parameters, client_id: 'spa', scope });
  const { body, text } = await app.exchange(codeIn(callback));
  if (typeof body['refresh_token'] !== 'string') throw new Error(text);
  return body['refresh_token'];
}

const refresh = (token: string, form: Record<string, string> = {}) =>
  app.token({ grant_type: 'refresh_token', refresh_token: token, ...form });

async function expectRefused(answer: Answer, error: string): Promise<void> {
  expect([answer.status, answer.body['error']]).toEqual([400, error]);
  expect(await auditOf(server, answer)).toMatchObject([{ type: 'token.refused' }]);
}

describe('A refresh after a permission was taken away', () => {
  it('is refused where the scope that it asks for is gone', async () => {
    const token = await refreshToken();
    await permit({ ...all, [accountsApi]: ['accounts'] });
    await expectRefused(await refresh(token, { scope: 'payments' }), 'invalid_scope');
    await expectRefused(await refresh(token, { scope: 'accounts payments' }), 'invalid_scope');
    const { status, body } = await refresh(token);
    expect([status, body['scope']]).toEqual([200, 'openid accounts']);
  });

  it('is refused where nothing is left, and can be tried again', async () => {
    const token = await refreshToken('openid payments');
    await permit({ ...all, [accountsApi]: ['accounts'] });
    await expectRefused(await refresh(token), 'invalid_scope');
    await permit(all);
    expect((await refresh(token)).body['scope']).toBe('openid payments');
  });

  it('is refused where the whole resource server is gone', async () => {
    const token = await refreshToken();
    await permit({ [opaqueApi]: ['statements'] });
    await expectRefused(await refresh(token), 'invalid_target');
    await permit(all);
    expect((await refresh(token)).status).toBe(200);
  });
});

describe('Two resources at the token endpoint (RFC 8707 §2.2)', () => {
  const send = (form: Record<string, string>, resources: readonly string[]) =>
    post(server.fetch(), `${server.issuer}/token`, {
      form: [
        ...Object.entries({ client_id: 'spa', ...form }),
        ...resources.map((one): [string, string] => ['resource', one]),
      ],
    });
  const resources = [
    [accountsApi, opaqueApi],
    [accountsApi, accountsApi],
  ];

  it('are refused for a refresh, which can be tried again', async () => {
    const token = await refreshToken();
    const form = { grant_type: 'refresh_token', refresh_token: token };
    for (const two of resources) await expectRefused(await send(form, two), 'invalid_target');
    expect((await send(form, [accountsApi])).status).toBe(200);
  });

  it.each(resources)('are refused for a code', async (...two) => {
    const callback = await app.authorize({ ...app.parameters, client_id: 'spa' });
    const form = {
      grant_type: 'authorization_code',
      code: codeIn(callback),
      code_verifier: app.codeVerifier,
      redirect_uri: app.parameters['redirect_uri'] ?? '',
    };
    await expectRefused(await send(form, two), 'invalid_target');
  });
});

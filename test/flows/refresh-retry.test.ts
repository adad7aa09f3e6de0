import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { clientCertificate } from '../support/certificates.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

let server: AuthorizationServer;
/** Minutes and seconds pass only when a test says so. */
let now = Date.now();

const redirectUri = 'https://bound.example.com/callback';

beforeAll(async () => {
  server = await startAuthorizationServer({
    clock: { now: () => new Date(now) },
    clients: [
      {
        metadata: {
          client_id: 'bound-app',
          redirect_uris: [redirectUri],
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'none',
          tls_client_certificate_bound_access_tokens: true,
        },
        permissions: { [accountsApi]: ['accounts'] },
      },
    ],
  });
});

afterAll(() => server.stop());

type Answer = Record<string, unknown> & { refresh_token: string; access_token: string };

/** A public client whose refresh token is bound to its certificate, and so rotates and proves its sender. */
async function boundClient() {
  const certificate = await clientCertificate(server.certificates.authority);
  const configuration = await discover(server, {
    id: 'bound-app',
    authentication: openid.None(),
    certificate,
  });
  const request = await authorizationRequest(configuration, {
    redirect_uri: redirectUri,
    scope: 'accounts',
  });
  const callback = await createCustomerAgent(server).authorize(request.url);
  const tokens = await openid.authorizationCodeGrant(configuration, callback, request.checks);
  return { certificate, refreshToken: tokens.refresh_token ?? '' };
}

async function refresh(refreshToken: string, certificate?: Parameters<typeof server.fetch>[0]) {
  const response = await server.fetch(certificate)(`${server.mtlsOrigin}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'bound-app',
      refresh_token: refreshToken,
    }),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

describe('A retried refresh', () => {
  it('by the same certificate within seconds gets the same answer', async () => {
    const { certificate, refreshToken } = await boundClient();
    const first = await refresh(refreshToken, certificate);
    now += 9_000;
    const second = await refresh(refreshToken, certificate);
    expect(second).toEqual(first);
    expect(first.body.refresh_token).not.toBe(refreshToken);
    const next = await refresh(first.body.refresh_token, certificate);
    expect(next.status).toBe(200);
  });

  it('after the window ends the family', async () => {
    const { certificate, refreshToken } = await boundClient();
    const first = await refresh(refreshToken, certificate);
    now += 11_000;
    const second = await refresh(refreshToken, certificate);
    expect(second).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const next = await refresh(first.body.refresh_token, certificate);
    expect(next).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('with another certificate ends the family', async () => {
    const { certificate, refreshToken } = await boundClient();
    const first = await refresh(refreshToken, certificate);
    const other = await clientCertificate(server.certificates.authority, { subject: 'CN=thief' });
    const stolen = await refresh(refreshToken, other);
    expect(stolen).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    const next = await refresh(first.body.refresh_token, certificate);
    expect(next).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  it('many times at once is one rotation, and the family lives', async () => {
    const { certificate, refreshToken } = await boundClient();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => refresh(refreshToken, certificate)),
    );
    const issued = new Set(
      answers.filter(({ status }) => status === 200).map(({ body }) => body.refresh_token),
    );
    expect(issued.size).toBe(1);
    const [successor = ''] = issued;
    expect((await refresh(successor, certificate)).status).toBe(200);
  });

  it('after a first attempt that ended before its answer gets one of its own', async () => {
    const { certificate, refreshToken } = await boundClient();
    const lost = await refresh(refreshToken, certificate);
    // As a crash leaves it: used up, its successor stored, and nothing kept of the answer.
    await stored(server, 'UPDATE artifacts SET answer = NULL');
    const other = await clientCertificate(server.certificates.authority, { subject: 'CN=thief' });
    const [second, third] = await Promise.all([
      refresh(refreshToken, certificate),
      refresh(refreshToken, certificate),
    ]);
    expect(second).toMatchObject({ status: 200 });
    expect(third).toEqual(second);
    expect(second.body.refresh_token).not.toBe(lost.body.refresh_token);
    expect((await refresh(second.body.refresh_token, certificate)).status).toBe(200);
    await stored(server, 'UPDATE artifacts SET answer = NULL');
    expect((await refresh(refreshToken, other)).status).toBe(400);
    expect((await refresh(second.body.refresh_token, certificate)).status).toBe(400);
  });

  it('leaves an answer behind that the database alone does not yield', async () => {
    const { certificate, refreshToken } = await boundClient();
    const { body } = await refresh(refreshToken, certificate);
    const rows = await stored<{ answer: Buffer }>(
      server,
      'SELECT answer FROM artifacts WHERE answer IS NOT NULL',
    );
    expect(rows.length).toBeGreaterThan(0);
    const kept = rows.map(({ answer }) => answer.toString('latin1')).join();
    expect(kept).not.toContain(body.refresh_token);
    expect(kept).not.toContain(body.access_token);
  });
});

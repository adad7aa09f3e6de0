import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/security/secrets.ts';
import { auditOf, basic, databaseText, post, rows } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { clientOf, customerTokens, introspect, machineTokens } from '../support/tokens.ts';

let server: AuthorizationServer;
/** Another process on the same database. */
let second: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
  second = await startAuthorizationServer({ beside: server });
});

afterAll(async () => {
  await second.stop();
  await server.stop();
});

const accounts = { resource: accountsApi, scope: 'openid accounts' };
const statements = { resource: opaqueApi, scope: 'statements' };

/** What both servers say, of either resource server. */
async function activity(token: string): Promise<unknown[]> {
  const as = token.includes('.') ? 'accounts-rs' : 'opaque-rs';
  const answers = [
    await introspect(server, token, { as }),
    await introspect(server, token, { as, at: second }),
  ];
  return answers.map(({ body }) => body['active']);
}

const revokeAs = (id: 'web' | 'accounts-rs', token: string) =>
  post(server.fetch(), `${server.issuer}/revoke`, {
    form: { token },
    headers: basic(id, server.secrets[id]),
  });

describe('A client that revokes', () => {
  it.each(['jwt', 'opaque'] as const)(
    'its own %s token of a machine ends it on every server at once',
    async (format) => {
      const tokens = await machineTokens(server, 'tpp');
      const { [format]: token, configuration } = tokens;
      expect(await activity(token)).toEqual([true, true]);
      await openid.tokenRevocation(configuration, token);
      expect(await activity(token)).toEqual([false, false]);
      const other = format === 'jwt' ? tokens.opaque : tokens.jwt;
      expect(await activity(other)).toEqual([true, true]);
    },
  );

  it.each([accounts, statements])(
    'an access token ends that one; the refresh token lives: $resource',
    async (parameters) => {
      const tokens = await customerTokens(server, 'tpp', parameters);
      const { configuration, accessToken, refreshToken } = tokens;
      const refreshed = await openid.refreshTokenGrant(configuration, refreshToken);
      await openid.tokenRevocation(configuration, accessToken);
      expect(await activity(accessToken)).toEqual([false, false]);
      expect(await activity(refreshed.access_token)).toEqual([true, true]);
      const again = await openid.refreshTokenGrant(configuration, refreshToken);
      expect(await activity(again.access_token)).toEqual([true, true]);
    },
  );

  it.each([accounts, statements])(
    'a refresh token ends the whole grant: $resource',
    async (parameters) => {
      const tokens = await customerTokens(server, 'tpp', parameters);
      const { configuration, accessToken, refreshToken } = tokens;
      const later = await openid.refreshTokenGrant(configuration, refreshToken);
      await openid.tokenRevocation(configuration, refreshToken);
      expect(await activity(accessToken)).toEqual([false, false]);
      expect(await activity(later.access_token)).toEqual([false, false]);
      await expect(openid.refreshTokenGrant(configuration, refreshToken)).rejects.toMatchObject({
        error: 'invalid_grant',
      });
    },
  );

  it('a public client’s refresh token ends it', async () => {
    const { refreshToken, accessToken, configuration } = await customerTokens(
      server,
      'app',
      accounts,
    );
    await openid.tokenRevocation(configuration, refreshToken);
    expect(await activity(accessToken)).toEqual([false, false]);
    await expect(openid.refreshTokenGrant(configuration, refreshToken)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
  });

  it('one grant leaves another client’s alone', async () => {
    const tpp = await customerTokens(server, 'tpp', accounts);
    const web = await customerTokens(server, 'web', accounts);
    await openid.tokenRevocation(tpp.configuration, tpp.refreshToken);
    expect(await activity(web.accessToken)).toEqual([true, true]);
  });
});

describe('A token of somebody else', () => {
  it('stays, and the answer does not tell', async () => {
    const { jwt, opaque } = await machineTokens(server, 'tpp');
    const customers = await customerTokens(server, 'tpp', accounts);
    for (const token of [jwt, opaque, customers.accessToken]) {
      for (const id of ['web', 'accounts-rs'] as const) {
        const { status, text } = await revokeAs(id, token);
        expect([status, text]).toEqual([200, '']);
      }
      expect(await activity(token)).toEqual([true, true]);
    }
    expect((await revokeAs('web', customers.refreshToken)).status).toBe(200);
    const refreshed = await openid.refreshTokenGrant(
      customers.configuration,
      customers.refreshToken,
    );
    expect(await activity(refreshed.access_token)).toEqual([true, true]);
  });

  it('stays when its client is named but not proven', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    const form = { token: jwt, client_id: 'tpp' };
    const { status, body } = await post(server.fetch(), `${server.issuer}/revoke`, { form });
    expect([status, body['error']]).toEqual([401, 'invalid_client']);
    expect(await activity(jwt)).toEqual([true, true]);
  });
});

describe('The answer', () => {
  it.each(['x', 'eyJ.eyJ.x', 'eyJhbGciOiJub25lIn0.e30.x', '.'])(
    'to what is no token is the same: %s',
    async (token) => {
      const { status, text } = await revokeAs('web', token);
      expect([status, text]).toEqual([200, '']);
    },
  );

  it('to a second revocation is the same', async () => {
    const { jwt } = await machineTokens(server, 'web');
    expect((await revokeAs('web', jwt)).status).toBe(200);
    expect((await revokeAs('web', jwt)).status).toBe(200);
    expect(await activity(jwt)).toEqual([false, false]);
  });

  it('to a request without a token is invalid_request', async () => {
    const { status, body } = await post(server.fetch(), `${server.issuer}/revoke`, {
      form: {},
      headers: basic('web', server.secrets.web),
    });
    expect([status, body['error']]).toEqual([400, 'invalid_request']);
  });

  it('leaves an audit event', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const [event] = await auditOf(server, await revokeAs('web', jwt));
    expect(event).toMatchObject({ type: 'token.revoked', outcome: 'success', client_id: 'web' });
  });

  it('to another client’s token leaves a refusal in the audit trail, to an unknown one nothing', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    const [event] = await auditOf(server, await revokeAs('web', jwt));
    expect(event).toMatchObject({
      type: 'token.revocation_refused',
      outcome: 'refused',
      client_id: 'web',
      detail: { tokenClient: 'tpp' },
    });
    expect(await activity(jwt)).toEqual([true, true]);
    expect(await auditOf(server, await revokeAs('web', 'unknown'))).toEqual([]);
  });
});

describe('What is kept of a revoked JWT', () => {
  it('is the digest of its id, until it would have expired', async () => {
    const configuration = await clientOf(server, 'web');
    const { access_token: jwt } = await openid.clientCredentialsGrant(configuration, {});
    await openid.tokenRevocation(configuration, jwt);
    const { jti = '', exp = 0 } = decodeJwt(jwt);
    const [row] = await rows(server, 'SELECT * FROM revoked_tokens WHERE jti_digest = $1', [
      sha256(jti),
    ]);
    expect((row?.['expires_at'] as Date).getTime()).toBeGreaterThanOrEqual(exp * 1000);
    const kept = JSON.stringify(await rows(server, 'SELECT r::text FROM revoked_tokens r'));
    expect(kept).not.toContain(jti);
    expect(await databaseText(server)).not.toContain(jwt);
  });
});

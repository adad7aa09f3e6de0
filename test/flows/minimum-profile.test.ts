import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { auditOf, basic, post, send } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let server: AuthorizationServer;
let client: FapiClient;

const credentials = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

beforeAll(async () => {
  const key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
  });
  client = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
});

afterAll(() => server.stop());

describe('A client below the least profile', () => {
  it('is refused though it is registered, and log and audit say why', async () => {
    const strict = await startAuthorizationServer({
      beside: server,
      environment: { COUNTERSIGN_MINIMUM_PROFILE: 'fapi2' },
    });
    try {
      const form = { grant_type: 'client_credentials', scope: 'accounts' };
      const answer = await post(strict.fetch(), `${server.issuer}/token`, {
        form,
        headers: basic('web', server.secrets.web),
      });
      expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_client']);
      expect(answer.text).not.toContain('fapi2');
      const events = await auditOf(strict, answer);
      expect(JSON.stringify(events)).toContain('this server accepts fapi2 at least');

      const { body: metadata } = await send(
        strict.fetch(),
        `${server.issuer}/.well-known/openid-configuration`,
      );
      expect(metadata['require_pushed_authorization_requests']).toBe(true);

      const accepted = await client.token(credentials, { at: strict });
      expect(accepted.status).toBe(200);
      // What such a client got before ends with it.
      const before = await post(server.fetch(), `${server.issuer}/token`, {
        form,
        headers: basic('web', server.secrets.web),
      });
      const old = String(before.body['access_token']);
      expect((await introspect(server, old)).body['active']).toBe(true);
      expect((await introspect(server, old, { at: strict })).body).toEqual({ active: false });
      // The resource server's own client has a secret and gets no tokens.
      const token = String(accepted.body['access_token']);
      expect((await introspect(server, token, { at: strict })).body['active']).toBe(true);
    } finally {
      await strict.stop();
    }
  });
});

describe('A FAPI client at a server without a key for it', () => {
  it('is refused, and log and audit say which algorithm is missing', async () => {
    const key = await newClientKey();
    const poor = await startAuthorizationServer({ clients: [fapiRegistration('bank-app', key)] });
    try {
      const one = fapiClient(poor, { id: 'bank-app', key, proofKey: key });
      const answer = await one.token(credentials);
      expect([answer.status, answer.body['access_token']]).toEqual([400, undefined]);
      const events = await auditOf(poor, answer);
      expect(JSON.stringify(events)).toContain('id_token_signed_response_alg');
    } finally {
      await poor.stop();
    }
  });
});

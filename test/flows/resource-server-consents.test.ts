import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createResourceServer } from '../../src/edge/resource-server/resource-server.ts';
import type { ResourceServerOptions } from '../../src/edge/resource-server/resource-server.ts';
import {
  bankApi,
  journeysOf,
  lodgeAccess,
  opaqueBankApi,
  startConsentServer,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { post } from '../support/protocol.ts';
import { requestWith } from '../support/stand-in-issuer.ts';

let world: ConsentServer;
let elapsedMs = 0;

beforeAll(async () => {
  world = await startConsentServer();
});

afterAll(() => world.server.stop());

/** An API that is told the time by the test, so that nothing is remembered longer than it says. */
function apiWith(options: Partial<ResourceServerOptions> = {}) {
  const { server, tpp, serverSecret } = world;
  const api = createResourceServer({
    issuer: server.issuer,
    audience: bankApi,
    client: { id: 'bank-rs', secret: serverSecret },
    consents: true,
    fetch: server.fetch(),
    now: () => new Date(Date.now() + elapsedMs),
    ...options,
  });
  const certificate = new X509Certificate(tpp.certificate.certificatePem).raw;
  return (token: string, requirement = {}) =>
    api.judge(requestWith({ authorization: `Bearer ${token}` }, { certificate }), requirement);
}

const refused = (status: number, error: string) => ({ refusal: { status, body: { error } } });

describe('The middleware at a real server', () => {
  it('learns what a consent allows, and of its end within a second', async () => {
    const { server, tpp } = world;
    const ask = apiWith();
    const id = await lodgeAccess(tpp);
    const { tokens } = await journeysOf(world).tokensUnder(id);
    const verdict = await ask(tokens.access_token, { permission: 'ReadAccountsDetail' });
    expect(verdict).toMatchObject({
      token: { consentId: id, consent: { customer: server.customer.id, clientId: tpp.id } },
    });
    expect(verdict).toHaveProperty('token.consent.accounts.length', 1);
    const other = await ask(tokens.access_token, { permission: 'ReadNothing' });
    expect(other).toMatchObject(refused(403, 'insufficient_scope'));
    const own = await ask(await tpp.token('accounts'), { consent: 'required' });
    expect(own).toMatchObject(refused(403, 'insufficient_scope'));

    await tpp.call('DELETE', `/open-banking/v4.0/aisp/account-access-consents/${id}`, {
      scope: 'accounts',
    });
    elapsedMs += 1000;
    expect(await ask(tokens.access_token)).toMatchObject(refused(401, 'invalid_token'));
  });

  it('introspects opaque tokens', async () => {
    const { server, tpp } = world;
    const client = { id: 'opaque-bank-rs', secret: world.serverSecret };
    const ask = apiWith({ audience: opaqueBankApi, client });
    const form = {
      ...{ grant_type: 'client_credentials', client_id: tpp.id },
      ...{ scope: 'accounts', resource: opaqueBankApi },
    };
    const url = `${server.mtlsOrigin}/token`;
    const { body } = await post(server.fetch(tpp.certificate), url, { form });
    const token = String(body['access_token']);
    expect(await ask(token, { scope: 'accounts' })).toMatchObject({
      token: { subject: tpp.id, clientId: tpp.id, scopes: ['accounts'] },
    });
    expect(await ask(`${token}x`)).toMatchObject(refused(401, 'invalid_token'));
    const form2 = { client_id: tpp.id, token };
    await post(server.fetch(tpp.certificate), `${server.mtlsOrigin}/revoke`, { form: form2 });
    elapsedMs += 1000;
    expect(await ask(token)).toMatchObject(refused(401, 'invalid_token'));
  });

  it('hears of revoked JWTs where every token is introspected', async () => {
    const { server, tpp } = world;
    const ask = apiWith({ introspection: 'always' });
    const token = await tpp.token('payments');
    expect(await ask(token, { scope: 'payments' })).toMatchObject({ token: { clientId: tpp.id } });
    const form = { client_id: tpp.id, token };
    await post(server.fetch(tpp.certificate), `${server.mtlsOrigin}/revoke`, { form });
    elapsedMs += 1000;
    expect(await ask(token)).toMatchObject(refused(401, 'invalid_token'));
    expect(await apiWith()(token)).toMatchObject({ token: { clientId: tpp.id } }); // asks nobody
  });
});

import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankApi,
  journeysOf,
  lodgeAccess,
  opaqueBankApi,
  startConsentServer,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import {
  allowed,
  consentRequest,
  create,
  merge,
  query,
  replace,
  revoke,
  scopeRequest,
  tokensOf,
} from '../support/grants.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;
let journeys: ReturnType<typeof journeysOf>;

beforeAll(async () => {
  world = await startConsentServer();
  journeys = journeysOf(world);
  ({ server, tpp } = world);
});

afterAll(() => server.stop());

const isActive = async (token: string, at = server) =>
  (await journeys.introspect(token, 'bank-rs', at))['active'];
const refresh = (token: string) => openid.refreshTokenGrant(tpp.configuration, token);
const accounts = { scope: 'openid accounts' };

describe('A grant for scopes alone', () => {
  it('has an id, which comes with every token, and is queried by it', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { grantId, refresh: token } = await tokensOf(
      server,
      tpp,
      await scopeRequest(tpp, { scope: 'openid profile accounts', ...create }),
    );
    expect(grantId).toMatch(/^[\w-]{32}$/);
    expect((await refresh(token))['grant_id']).toBe(grantId);
    const { status, headers, body } = await query(tpp, grantId);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      scopes: [{ scope: 'openid profile' }, { scope: 'accounts', resource: [bankApi] }],
      claims: [],
      authorization_details: [],
      consent_ids: [],
      created_at: expect.any(Number) as number,
      last_updated: body['created_at'],
      expires_at: expect.any(Number) as number,
      updated_by: 'client',
    });
    expect(body['created_at']).toBeGreaterThanOrEqual(before);
    expect(body['expires_at']).toBeGreaterThan(Number(body['created_at']));
  });

  it('is a fresh one each time, although the customer is signed in', async () => {
    const agent = createCustomerAgent(server);
    const ids: unknown[] = [];
    while (ids.length < 2) {
      const request = await scopeRequest(tpp, { ...accounts, ...create });
      const callback = await allowed(server, request, agent);
      const { configuration } = tpp;
      const answer = await openid.authorizationCodeGrant(configuration, callback, request.checks);
      ids.push(answer['grant_id']);
    }
    expect(new Set(ids).size).toBe(2);
    expect(ids).not.toContain(undefined);
  });

  it('is no part of what the session remembers', async () => {
    const agent = createCustomerAgent(server);
    await allowed(server, await scopeRequest(tpp, { ...accounts, ...create }), agent);
    const page = await agent.open((await scopeRequest(tpp, accounts)).url);
    expect(page.html).toContain('value="allow"');
    const request = await scopeRequest(tpp, accounts);
    const callback = await allowed(server, request, agent);
    const answer = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
    expect(answer).not.toHaveProperty('grant_id');
  });

  it('is always decided by the customer: prompt=none does not do', async () => {
    const agent = createCustomerAgent(server);
    await allowed(server, await scopeRequest(tpp, accounts), agent);
    const request = await scopeRequest(tpp, { ...accounts, ...create, prompt: 'none' });
    const { url } = await agent.open(request.url);
    expect(new URL(url).searchParams.get('error')).toBe('consent_required');
  });
});

describe('A replacement', () => {
  it('leaves only what is allowed now, and ends every older token', async () => {
    const wide = { scope: 'openid profile accounts payments' };
    const first = await tokensOf(server, tpp, await scopeRequest(tpp, { ...wide, ...create }));
    const { grantId } = first;
    const narrow = { scope: 'accounts', ...replace(grantId) };
    const second = await tokensOf(server, tpp, await scopeRequest(tpp, narrow));
    expect(second.grantId).toBe(grantId);
    expect((await query(tpp, grantId)).body['scopes']).toEqual([
      { scope: 'accounts', resource: [bankApi] },
    ]);
    expect(await isActive(first.access)).toBe(false);
    expect(await isActive(second.access)).toBe(true);
    await expect(refresh(first.refresh)).rejects.toThrow();
  });

  it('puts another consent in the place of the first, which is revoked', async () => {
    const [old, next] = [await lodgeAccess(tpp), await lodgeAccess(tpp)];
    const first = await tokensOf(server, tpp, await consentRequest(tpp, old, create));
    const { grantId } = first;
    const second = await tokensOf(server, tpp, await consentRequest(tpp, next, replace(grantId)));
    expect(second.grantId).toBe(grantId);
    expect((await query(tpp, grantId)).body['consent_ids']).toEqual([next]);
    expect([await ukStatusOf(tpp, old), await ukStatusOf(tpp, next)]).toEqual(['CANC', 'AUTH']);
    expect(await isActive(first.access)).toBe(false);
    await expect(refresh(first.refresh)).rejects.toThrow();
    expect((await refresh(second.refresh))['grant_id']).toBe(grantId);
  });

  it('that the customer refuses changes nothing', async () => {
    const old = await lodgeAccess(tpp);
    const first = await tokensOf(server, tpp, await consentRequest(tpp, old, create));
    const request = await consentRequest(tpp, await lodgeAccess(tpp), replace(first.grantId));
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const page = await agent.open(request.url);
    const asked = await agent.submit(page, { username, password, action: 'login' });
    await agent.submit(asked, { decision: 'deny' });
    expect((await query(tpp, first.grantId)).body['consent_ids']).toEqual([old]);
    expect(await isActive(first.access)).toBe(true);
    await refresh(first.refresh);
  });
});

describe('A grant with authorization details', () => {
  const detail = {
    type: 'account_information',
    permissions: ['account-details', 'balances'],
    expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString(),
  };

  it('tells them as they are, with the consent that they lodged', async () => {
    const request = await scopeRequest(tpp, {
      scope: 'openid',
      authorization_details: JSON.stringify([detail]),
      ...create,
    });
    const { grantId } = await tokensOf(server, tpp, request);
    const { body } = await query(tpp, grantId);
    const [consentId] = body['consent_ids'] as string[];
    expect(body['authorization_details']).toEqual([
      expect.objectContaining({ ...detail, consent_id: consentId }),
    ]);
  });
});

describe('Revoking a grant', () => {
  it('ends consents, codes, refresh and access tokens at once, on every process', async () => {
    const consentId = await lodgeAccess(tpp);
    const { grantId, ...scopes } = await tokensOf(
      server,
      tpp,
      await scopeRequest(tpp, { ...accounts, ...create }),
    );
    const opaque = await tokensOf(
      server,
      tpp,
      await consentRequest(tpp, consentId, { ...merge(grantId), resource: opaqueBankApi }),
    );
    const pending = await consentRequest(tpp, consentId, merge(grantId));
    const code = await allowed(server, pending);
    const beside = await world.beside();
    expect(await isActive(scopes.access, beside)).toBe(true);
    const { status } = await revoke(tpp, grantId);
    expect(status).toBe(204);
    for (const at of [server, beside]) {
      expect(await isActive(scopes.access, at)).toBe(false);
      const asked = await journeys.introspect(opaque.access, 'opaque-bank-rs', at);
      expect(asked['active']).toBe(false);
      expect((await query(tpp, grantId, { at })).status).toBe(404);
    }
    await beside.stop();
    expect(await ukStatusOf(tpp, consentId)).toBe('CANC');
    await expect(refresh(scopes.refresh)).rejects.toThrow();
    await expect(refresh(opaque.refresh)).rejects.toThrow();
    const { configuration } = tpp;
    const late = openid.authorizationCodeGrant(configuration, code, pending.checks);
    await expect(late).rejects.toThrow();
    expect((await revoke(tpp, grantId)).status).toBe(404);
  });

  it('ends a consent whose tokens the client revoked before, which a merge leaves alone', async () => {
    const consentId = await lodgeAccess(tpp);
    const first = await tokensOf(server, tpp, await consentRequest(tpp, consentId, create));
    const { grantId } = first;
    const scopes = await scopeRequest(tpp, { ...accounts, ...merge(grantId) });
    await tokensOf(server, tpp, scopes);
    await openid.tokenRevocation(tpp.configuration, first.refresh);
    expect((await query(tpp, grantId)).body['consent_ids']).toEqual([]);
    const more = await scopeRequest(tpp, { scope: 'payments', ...merge(grantId) });
    await tokensOf(server, tpp, more);
    expect(await ukStatusOf(tpp, consentId)).toBe('AUTH');
    expect((await revoke(tpp, grantId)).status).toBe(204);
    expect(await ukStatusOf(tpp, consentId)).toBe('CANC');
  });

  it('is not needed when its customer ends the only consent: the grant is gone', async () => {
    const consentId = await lodgeAccess(tpp);
    const { grantId } = await tokensOf(server, tpp, await consentRequest(tpp, consentId, create));
    await server.running.app.consents.move(consentId, 'revoke', {
      by: { type: 'customer', id: server.customer.id },
    });
    expect((await query(tpp, grantId)).status).toBe(404);
  });
});

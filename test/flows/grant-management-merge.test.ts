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
import {
  allowed,
  consentRequest,
  create,
  merge,
  query,
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
const scopesIn = (text = '') => new Set(text.split(' '));

describe('A merge', () => {
  it('adds to the grant, and ends its older refresh tokens and codes', async () => {
    const first = await tokensOf(server, tpp, await scopeRequest(tpp, { ...accounts, ...create }));
    const pending = await scopeRequest(tpp, { ...accounts, ...merge(first.grantId) });
    const code = await allowed(server, pending);
    const second = await tokensOf(
      server,
      tpp,
      await scopeRequest(tpp, { scope: 'openid email payments', ...merge(first.grantId) }),
    );
    expect(second.grantId).toBe(first.grantId);
    const { body } = await query(tpp, first.grantId);
    expect(body['scopes']).toEqual([
      { scope: 'openid email' },
      { scope: 'accounts payments', resource: [bankApi] },
    ]);
    await expect(refresh(first.refresh)).rejects.toThrow();
    await expect(
      openid.authorizationCodeGrant(tpp.configuration, code, pending.checks),
    ).rejects.toThrow();
    const whole = scopesIn('openid email accounts payments');
    expect(scopesIn(second.scope)).toEqual(whole);
    expect(scopesIn((await refresh(second.refresh)).scope)).toEqual(whole);
  });

  it('is answered with all that the grant gives, for each of its resource servers', async () => {
    const wide = { scope: 'openid profile accounts', ...create };
    const { grantId } = await tokensOf(server, tpp, await scopeRequest(tpp, wide));
    const more = { scope: 'payments', resource: opaqueBankApi, ...merge(grantId) };
    const merged = await tokensOf(server, tpp, await scopeRequest(tpp, more));
    expect(scopesIn(merged.scope)).toEqual(scopesIn('openid profile payments'));
    const elsewhere = { scope: 'accounts', resource: opaqueBankApi };
    await expect(
      openid.refreshTokenGrant(tpp.configuration, merged.refresh, elsewhere),
    ).rejects.toMatchObject({ error: 'invalid_scope' });
    const forFirst = await openid.refreshTokenGrant(tpp.configuration, merged.refresh, {
      resource: bankApi,
    });
    expect(scopesIn(forFirst.scope)).toEqual(scopesIn('openid profile accounts'));
    expect(await isActive(forFirst.access_token)).toBe(true);
    const again = await refresh(forFirst.refresh_token ?? merged.refresh);
    const asked = await journeys.introspect(again.access_token, 'opaque-bank-rs');
    expect(scopesIn(String(asked['scope']))).toEqual(scopesIn('openid profile payments'));
    const narrow = { scope: 'openid accounts', resource: bankApi };
    const narrowed = await openid.refreshTokenGrant(
      tpp.configuration,
      again.refresh_token ?? merged.refresh,
      narrow,
    );
    expect(scopesIn(narrowed.scope)).toEqual(scopesIn('openid accounts'));
  });

  it('is answered for its own resource server, also beside another one', async () => {
    const { grantId } = await tokensOf(
      server,
      tpp,
      await scopeRequest(tpp, { ...accounts, ...create }),
    );
    const mergeFor = async (resource: string) => {
      const request = { scope: 'payments', resource, ...merge(grantId) };
      return tokensOf(server, tpp, await scopeRequest(tpp, request));
    };
    for (let round = 0; round < 4; round += 1) {
      // Of two at once one may end the other's code.
      const [jwt, opaque] = await Promise.allSettled([bankApi, opaqueBankApi].map(mergeFor));
      const isJwt = [jwt, opaque].map(
        (one) => one?.status === 'fulfilled' && one.value.access.includes('.'),
      );
      expect(isJwt).toEqual([jwt?.status === 'fulfilled', false]);
      expect([jwt, opaque].map((one) => one?.status)).toContain('fulfilled');
    }
  });

  it('gives nothing that the client may no longer have', async () => {
    const { clients } = server.running.app;
    const { grantId } = await tokensOf(
      server,
      world.other,
      await scopeRequest(world.other, { scope: 'openid profile email accounts', ...create }),
    );
    const [before = expect.unreachable()] = [await clients.find('other')];
    const limited = { ...before.metadata, scope: 'openid email' };
    await clients.save({ ...before, metadata: limited });
    const more = { scope: 'openid payments', ...merge(grantId) };
    const merged = await tokensOf(server, world.other, await scopeRequest(world.other, more));
    await clients.save(before);
    expect(scopesIn(merged.scope)).toEqual(scopesIn('openid email accounts payments'));
  });

  it('puts a consent beside scopes, each with tokens of its own', async () => {
    const scopes = await tokensOf(server, tpp, await scopeRequest(tpp, { ...accounts, ...create }));
    const consentId = await lodgeAccess(tpp);
    const { grantId } = scopes;
    const under = await tokensOf(server, tpp, await consentRequest(tpp, consentId, merge(grantId)));
    expect(under.grantId).toBe(grantId);
    const { body } = await query(tpp, grantId);
    expect(body['consent_ids']).toEqual([consentId]);
    expect(await isActive(scopes.access)).toBe(true);
    await refresh(scopes.refresh);
    await refresh(under.refresh);
  });

  it('confirms a consent of the grant again, with what it gave before', async () => {
    const consentId = await lodgeAccess(tpp);
    const first = await tokensOf(server, tpp, await consentRequest(tpp, consentId, create));
    const { grantId } = first;
    const again = await consentRequest(tpp, consentId, {
      ...merge(grantId),
      scope: 'openid email accounts',
    });
    const second = await tokensOf(server, tpp, again);
    expect(second.grantId).toBe(grantId);
    await expect(refresh(first.refresh)).rejects.toThrow();
    expect(await ukStatusOf(tpp, consentId)).toBe('AUTH');
    const { body } = await query(tpp, grantId);
    expect(body['consent_ids']).toEqual([consentId]);
    expect(JSON.stringify(body['scopes'])).toContain('email');
    const third = await tokensOf(server, tpp, await consentRequest(tpp, consentId, merge(grantId)));
    expect(scopesIn(third.scope)).toEqual(scopesIn('openid email accounts'));
  });
});

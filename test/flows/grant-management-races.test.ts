import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bankApi,
  chooseFirst,
  consentPageOf,
  lodgeAccess,
  opaqueBankApi,
  startConsentServer,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import {
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
let beside: AuthorizationServer;
let tpp: Tpp;

beforeAll(async () => {
  world = await startConsentServer();
  ({ server, tpp } = world);
  beside = await world.beside();
});

afterAll(async () => {
  await beside.stop();
  await server.stop();
});

async function newGrant(): Promise<string> {
  const request = await scopeRequest(tpp, { scope: 'openid accounts', ...create });
  return (await tokensOf(server, tpp, request)).grantId;
}

/** Consent pages of one customer, in a browser each, alternately on two processes. */
async function pagesOf(urls: readonly string[]): Promise<{ agent: CustomerAgent; page: Page }[]> {
  const pages = [];
  for (const [at, url] of urls.entries()) {
    const agent = createCustomerAgent(at % 2 === 0 ? server : beside);
    pages.push(await consentPageOf(server, url, agent));
  }
  return pages;
}

/** All decide at the same moment. */
async function allowAll(pages: readonly { agent: CustomerAgent; page: Page }[]): Promise<URL[]> {
  const done = await Promise.all(
    pages.map(({ agent, page }) => agent.submit(page, { ...chooseFirst(page), decision: 'allow' })),
  );
  return done.map(({ url }) => new URL(url));
}

const hasCode = (callback: URL) => callback.searchParams.has('code');

async function urlsOf(requests: readonly Promise<{ url: string }>[]): Promise<string[]> {
  return (await Promise.all(requests)).map(({ url }) => url);
}

describe('Decisions about one grant at the same moment, on two processes', () => {
  it('merge: all of them count', async () => {
    const grantId = await newGrant();
    const wanted = [
      { scope: 'openid profile payments' },
      { scope: 'openid email', resource: opaqueBankApi },
      { scope: 'fundsconfirmations' },
      { scope: 'accounts', resource: opaqueBankApi },
    ];
    const urls = await urlsOf(
      [...wanted, ...wanted, ...wanted].map((one) =>
        scopeRequest(tpp, { ...one, ...merge(grantId) }),
      ),
    );
    const callbacks = await allowAll(await pagesOf(urls));
    expect(callbacks.filter((one) => !hasCode(one)).map(String)).toEqual([]);
    const { body } = await query(tpp, grantId);
    const scopes = body['scopes'] as { scope: string; resource?: string[] }[];
    const at = (resource?: string) =>
      scopes
        .find((one) => one.resource?.[0] === resource)
        ?.scope.split(' ')
        .sort();
    expect(at()).toEqual(['email', 'openid', 'profile']);
    expect(at(bankApi)).toEqual(['accounts', 'fundsconfirmations', 'payments']);
    expect(at(opaqueBankApi)).toEqual(['accounts']);
  });

  it('merge consents: all of them stand', async () => {
    const grantId = await newGrant();
    const ids = await Promise.all(Array.from({ length: 6 }, () => lodgeAccess(tpp)));
    const urls = await urlsOf(ids.map((id) => consentRequest(tpp, id, merge(grantId))));
    await allowAll(await pagesOf(urls));
    const { body } = await query(tpp, grantId);
    expect((body['consent_ids'] as string[]).toSorted()).toEqual(ids.toSorted());
  });

  it('replace: one of them stands, whole, and the consents of the others are revoked', async () => {
    const grantId = await newGrant();
    const ids = await Promise.all(Array.from({ length: 6 }, () => lodgeAccess(tpp)));
    const urls = await urlsOf(ids.map((id) => consentRequest(tpp, id, replace(grantId))));
    await allowAll(await pagesOf(urls));
    const { body } = await query(tpp, grantId);
    const [standing, ...others] = body['consent_ids'] as string[];
    expect(others).toEqual([]);
    expect(body['scopes']).toEqual([
      { scope: 'openid' },
      { scope: 'accounts', resource: [bankApi] },
    ]);
    for (const id of ids) {
      expect(await ukStatusOf(tpp, id)).toBe(id === standing ? 'AUTH' : 'CANC');
    }
  });

  it('and one that comes after the end is told so, and authorises nothing', async () => {
    const grantId = await newGrant();
    const id = await lodgeAccess(tpp);
    const pages = await pagesOf(
      await urlsOf([
        consentRequest(tpp, id, merge(grantId)),
        scopeRequest(tpp, { scope: 'payments', ...replace(grantId) }),
      ]),
    );
    await revoke(tpp, grantId);
    for (const callback of await allowAll(pages)) {
      expect(callback.searchParams.get('error')).toBe('invalid_grant_id');
    }
    expect(await ukStatusOf(tpp, id)).toBe('AWAU');
    expect((await query(tpp, grantId)).status).toBe(404);
  });
});

describe('Fifty revocations at once on two processes', () => {
  it('end the grant once', async () => {
    const grantId = await newGrant();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        revoke(tpp, grantId, { at: i % 2 === 0 ? server : beside }),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([204, ...Array.from({ length: 49 }, () => 404)]);
  });
});

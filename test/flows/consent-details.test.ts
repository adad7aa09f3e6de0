import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chooseFirst,
  consentPageOf,
  intentRequest,
  lodgeAccess,
  opaqueBankApi,
  plainConsents,
  startConsentServer,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { authorizationRequest } from '../support/openid.ts';
import { basic, post, rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;

beforeAll(async () => {
  world = await startConsentServer({ environment: { COUNTERSIGN_CONSENTS_REQUIRED: 'true' } });
  ({ server, tpp } = world);
});

afterAll(() => server.stop());

const detail = {
  type: 'account_information',
  permissions: ['account-details', 'balances'],
  expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString(),
};

const payment = {
  type: 'payment_initiation',
  payment: {
    amount: '123.50',
    currency: 'EUR',
    payee: { scheme: 'IBAN', identification: 'DE02100100109307118603', name: 'Merchant A' },
    reference: 'Ref 42',
  },
};

function requestWith(details: unknown, more: Record<string, string> = {}) {
  return authorizationRequest(tpp.configuration, {
    redirect_uri: tpp.redirectUri,
    scope: 'openid',
    authorization_details: JSON.stringify(details),
    ...more,
  });
}

async function allow(url: string) {
  const { agent, page } = await consentPageOf(server, url);
  const done = await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
  return { page, callback: new URL(done.url) };
}

async function errorOf(url: string) {
  const page = await createCustomerAgent(server).open(url);
  return new URL(page.url).searchParams.get('error');
}

const detailsOf = (tokens: openid.TokenEndpointResponse) =>
  (tokens.authorization_details ?? []) as Record<string, unknown>[];

describe('Authorization details', () => {
  it('lodge a consent, and come back with the accounts that were chosen', async () => {
    const request = await requestWith([detail]);
    const { page, callback } = await allow(request.url);
    expect(page.html).toContain('Your balances');
    const tokens = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
    const [granted] = detailsOf(tokens);
    const [field] = Object.keys(chooseFirst(page));
    expect(granted).toEqual({
      ...detail,
      consent_id: expect.stringMatching(/^urn:countersign:consent:/) as string,
      accounts: [{ id: field?.replace('account:', '') }],
    });
    const claims = decodeJwt(tokens.access_token);
    expect(claims).toMatchObject({
      consent_id: granted?.['consent_id'],
      authorization_details: [granted],
    });
    const answer = await post(server.fetch(), `${server.issuer}/introspect`, {
      form: { token: tokens.access_token },
      headers: basic('bank-rs', world.serverSecret),
    });
    expect(answer.body).toMatchObject({ active: true, authorization_details: [granted] });
    const refreshed = await openid.refreshTokenGrant(tpp.configuration, tokens.refresh_token ?? '');
    expect(detailsOf(refreshed)).toEqual([granted]);
    const path = `${plainConsents}/${String(granted?.['consent_id'])}`;
    const read = await tpp.call('GET', path, { scope: 'consents' });
    expect(read.body).toMatchObject({ status: 'authorised' });
    expect((await tpp.call('DELETE', path, { scope: 'consents' })).status).toBe(204);
    await expect(
      openid.refreshTokenGrant(tpp.configuration, tokens.refresh_token ?? ''),
    ).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('are carried by opaque tokens too', async () => {
    const request = await requestWith([payment], { resource: opaqueBankApi });
    const { page, callback } = await allow(request.url);
    expect(page.html).toContain('€123.50');
    expect(page.html).toContain('Merchant A');
    const tokens = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
    const answer = await post(server.fetch(), `${server.issuer}/introspect`, {
      form: { token: tokens.access_token },
      headers: basic('opaque-bank-rs', world.serverSecret),
    });
    expect(answer.body).toMatchObject({ active: true, authorization_details: [payment] });
  });

  it('name a consent that was lodged before', async () => {
    const id = await lodgeAccess(tpp);
    const named = [{ type: 'account_information', consent_id: id }];
    const request = await requestWith(named);
    const { callback } = await allow(request.url);
    const tokens = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
    expect(detailsOf(tokens)).toMatchObject(named);
    expect(await ukStatusOf(tpp, id)).toBe('AUTH');
  });

  it.each([
    ['an unknown type', [{ type: 'everything' }]],
    ['an unknown permission', [{ ...detail, permissions: ['all'] }]],
    ['a member that is ours', [{ ...detail, accounts: [{ id: 'x' }] }]],
    ['no end', [{ ...detail, expires_at: undefined }]],
    ['a payment without an amount', [{ type: 'payment_initiation' }]],
    ['an id and terms', [{ ...detail, consent_id: 'x' }]],
  ])('are refused with %s, and nothing is lodged', async (_what, details) => {
    const before = await rows(server, 'SELECT count(*) FROM consents');
    const request = await requestWith(details);
    expect(await errorOf(request.url)).toBe('invalid_authorization_details');
    expect(await rows(server, 'SELECT count(*) FROM consents')).toEqual(before);
  });

  it('are refused to a client that is registered for none', async () => {
    const { other } = world;
    const request = await authorizationRequest(other.configuration, {
      redirect_uri: other.redirectUri,
      scope: 'openid',
      authorization_details: JSON.stringify([detail]),
    });
    expect(await errorOf(request.url)).toBe('invalid_authorization_details');
  });

  it('are about one consent', async () => {
    expect(await errorOf((await requestWith([detail, detail])).url)).toBe('invalid_request');
    const named = [{ type: 'account_information', consent_id: 'unknown' }];
    expect(await errorOf((await requestWith(named)).url)).toBe('invalid_request');
  });

  it('do not widen what a token request asks for', async () => {
    const request = await requestWith([detail]);
    const { callback } = await allow(request.url);
    const more = { authorization_details: JSON.stringify([payment]) };
    await expect(
      openid.authorizationCodeGrant(tpp.configuration, callback, request.checks, more),
    ).rejects.toMatchObject({ error: 'invalid_authorization_details' });
    await expect(
      openid.clientCredentialsGrant(tpp.configuration, { scope: 'accounts', ...more }),
    ).rejects.toMatchObject({ error: 'invalid_authorization_details' });
  });

  it('go with their own scope only', async () => {
    const request = await requestWith([detail], { scope: 'openid payments' });
    expect(await errorOf(request.url)).toBe('invalid_scope');
  });
});

describe('Where consents are required', () => {
  it('a scope alone is not enough', async () => {
    const request = await authorizationRequest(tpp.configuration, {
      redirect_uri: tpp.redirectUri,
      scope: 'openid accounts',
    });
    expect(await errorOf(request.url)).toBe('invalid_request');
  });

  it('a login without any is', async () => {
    const request = await authorizationRequest(tpp.configuration, {
      redirect_uri: tpp.redirectUri,
      scope: 'openid',
    });
    const page = await createCustomerAgent(server).open(request.url);
    expect(page.html).toContain('name="password"');
  });
});

describe('An essential acr', () => {
  const withAcr = async (acr: object) => {
    const id = await lodgeAccess(tpp);
    const claims = { id_token: { openbanking_intent_id: { value: id, essential: true }, acr } };
    return (await intentRequest(tpp, id, { claims: JSON.stringify(claims) })).url;
  };

  it('that is not offered is refused at once', async () => {
    const sca = 'urn:openbanking:psd2:sca';
    for (const acr of [
      { essential: true, value: sca },
      { essential: true, values: [sca] },
    ]) {
      expect(await errorOf(await withAcr(acr))).toBe('unmet_authentication_requirements');
    }
  });

  it('that is offered is honoured', async () => {
    const values = ['urn:openbanking:psd2:sca', 'urn:countersign:acr:password'];
    const page = await createCustomerAgent(server).open(await withAcr({ essential: true, values }));
    expect(page.html).toContain('name="password"');
  });
});

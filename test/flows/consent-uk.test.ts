import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chooseFirst,
  consentPageOf,
  intentRequest,
  journeysOf,
  lodgeAccess,
  lodgePayment,
  plainConsents,
  startConsentServer,
  ukAccess,
  ukPayments,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { basic, rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;
let journeys: ReturnType<typeof journeysOf>;
let other: Tpp;

beforeAll(async () => {
  world = await startConsentServer();
  journeys = journeysOf(world);
  ({ server, tpp, other } = world);
});

afterAll(() => server.stop());

async function errorOf(url: string, agent = createCustomerAgent(server)) {
  const page = await agent.open(url);
  const { searchParams } = new URL(page.url);
  return { error: searchParams.get('error'), description: searchParams.get('error_description') };
}

describe('A customer who shares accounts', () => {
  it('sees who asks for what, chooses, and the client gets tokens for exactly that', async () => {
    const id = await lodgeAccess(tpp);
    const { page, callback, request } = await journeys.authorise(id);
    for (const seen of [
      'Share your account information with Example Money?',
      'Your balances',
      'Money that you spent',
      'Transactions from 1 January 2026',
      'Until 22 November 2027',
      'To stop it sooner, sign in to Countersign Bank',
      'Current account',
      'Savings',
      'Casey Miller',
    ]) {
      expect(page.html).toContain(seen);
    }
    expect(page.html).not.toContain('checked');
    const tokens = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
    expect(tokens.claims()).toMatchObject({ openbanking_intent_id: id, sub: server.customer.id });
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      consent_id: id,
      scope: 'openid accounts',
      sub: server.customer.id,
    });
    expect(await journeys.introspect(tokens.access_token, 'bank-rs')).toMatchObject({
      active: true,
      consent_id: id,
    });
    expect(await ukStatusOf(tpp, id)).toBe('AUTH');
    const userinfo = await openid.fetchUserInfo(
      tpp.configuration,
      tokens.access_token,
      server.customer.id,
    );
    expect(userinfo['openbanking_intent_id']).toBe(id);
  });

  it('is told at the bank’s resource server with the accounts that they chose', async () => {
    const id = await lodgeAccess(tpp);
    const { page } = await journeys.authorise(id);
    const [field] = Object.keys(chooseFirst(page));
    const answer = await server.fetch()(`${server.issuer}${plainConsents}/${id}/status`, {
      headers: basic('bank-rs', world.serverSecret),
    });
    expect(await answer.json()).toMatchObject({
      status: 'authorised',
      customer: server.customer.id,
      accounts: [{ id: field?.replace('account:', '') }],
    });
  });

  it('has to choose an account of their own', async () => {
    const id = await lodgeAccess(tpp);
    const request = await intentRequest(tpp, id);
    const { agent, page } = await consentPageOf(server, request.url);
    for (const chosen of [{}, { 'account:somebody-elses': 'on' }]) {
      const again = await agent.submit(page, { ...chosen, decision: 'allow' });
      expect(again.status).toBe(400);
      expect(again.html).toContain('Choose at least one account');
    }
    expect(await ukStatusOf(tpp, id)).toBe('AWAU');
    const done = await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
    expect(new URL(done.url).searchParams.get('code')).not.toBeNull();
  });

  it('may refuse, and that is final', async () => {
    const id = await lodgeAccess(tpp);
    const request = await intentRequest(tpp, id);
    const { agent, page } = await consentPageOf(server, request.url);
    const done = await agent.submit(page, { decision: 'deny' });
    expect(new URL(done.url).searchParams.get('error')).toBe('access_denied');
    expect(await ukStatusOf(tpp, id)).toBe('RJCT');
    const again = await intentRequest(tpp, id);
    expect(await errorOf(again.url, agent)).toEqual({
      error: 'invalid_request',
      description: 'the consent is rejected',
    });
  });

  it('leaves the proof of what was shown', async () => {
    const id = await lodgeAccess(tpp);
    await journeys.authorise(id, { ui_locales: 'de' });
    const history = await rows(
      server,
      'SELECT * FROM consent_history WHERE consent_id = $1 ORDER BY version',
      [id],
    );
    expect(history).toMatchObject([
      { move: 'create', actor_type: 'client', actor_id: 'aisp' },
      {
        move: 'authorise',
        actor_type: 'customer',
        actor_id: server.customer.id,
        text_locale: 'de',
      },
    ]);
    expect((history[1]?.['text_digest'] as Buffer).length).toBe(32);
    expect(history[1]?.['address']).toMatch(/^127\.0\.0\.1$|^::1$/);
  });
});

describe('A customer who pays', () => {
  it('sees amount and payee, and the consent fixes both', async () => {
    const id = await lodgePayment(tpp);
    const request = await intentRequest(tpp, id, { scope: 'openid payments' });
    const { agent, page } = await consentPageOf(server, request.url);
    expect(page.html).toMatch(/class="amount"><strong><bdi>£165\.88/);
    for (const seen of ['ACME Inc', '08080021325698', 'Internal ops code 5120101', 'Pay £165.88']) {
      expect(page.html).toContain(seen);
    }
    const account = /name="account" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const done = await agent.submit(page, { account, decision: 'allow' });
    const tokens = await openid.authorizationCodeGrant(
      tpp.configuration,
      new URL(done.url),
      request.checks,
    );
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      consent_id: id,
      scope: 'openid payments',
    });
    expect(await ukStatusOf(tpp, id, ukPayments)).toBe('AUTH');
  });
});

describe('A request is refused', () => {
  const refusal = async (id: string, more: Record<string, string> = {}, as = tpp) =>
    errorOf((await intentRequest(as, id, more)).url);
  const unknown = { error: 'invalid_request', description: 'the consent is unknown' };

  it('for a consent that nobody has, or somebody else', async () => {
    expect(await refusal(`urn:countersign:consent:${'a'.repeat(32)}`)).toEqual(unknown);
    expect(await refusal('88379')).toEqual(unknown);
    expect(await refusal(await lodgeAccess(tpp), {}, other)).toEqual(unknown);
  });

  it('for one that was withdrawn', async () => {
    const id = await lodgeAccess(tpp);
    await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect(await refusal(id)).toEqual({
      error: 'invalid_request',
      description: 'the consent is rejected',
    });
  });

  it('for a scope beside the consent', async () => {
    const id = await lodgeAccess(tpp);
    expect(await refusal(id, { scope: 'openid accounts payments' })).toMatchObject({
      error: 'invalid_scope',
    });
    const payment = await lodgePayment(tpp);
    expect(await refusal(payment)).toMatchObject({ error: 'invalid_scope' });
  });

  it('for two consents', async () => {
    const [one, two] = [await lodgeAccess(tpp), await lodgeAccess(tpp)];
    const more = { scope: `openid accounts consent:${two}` };
    expect(await refusal(one, more)).toEqual({
      error: 'invalid_request',
      description: 'a request is about one consent',
    });
  });

  it('for a claim without a value', async () => {
    const claims = '{"id_token":{"openbanking_intent_id":{"essential":true}}}';
    expect(await refusal(await lodgeAccess(tpp), { claims })).toMatchObject({
      error: 'invalid_request',
    });
  });

  it('without showing a page when it must not be shown', async () => {
    const id = await lodgeAccess(tpp);
    const { agent } = await journeys.authorise(id);
    const request = await intentRequest(tpp, id, { prompt: 'none' });
    expect((await errorOf(request.url, agent)).error).toBe('consent_required');
  });
});

describe('By scope', () => {
  it('a consent is named as well', async () => {
    const id = await lodgeAccess(tpp);
    const { tokens } = await journeys.tokensUnder(id, {
      scope: `openid accounts consent:${id}`,
      claims: '{"id_token":{}}',
    });
    expect(decodeJwt(tokens.access_token)).toMatchObject({ consent_id: id });
    expect(tokens.claims()).not.toHaveProperty('openbanking_intent_id');
  });
});

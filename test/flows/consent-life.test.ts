import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { systemClock } from '../../src/clock.ts';
import {
  bankApi,
  chooseFirst,
  consentPageOf,
  intentRequest,
  journeysOf,
  lodgeAccess,
  opaqueBankApi,
  startConsentServer,
  ukAccess,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { rows } from '../support/protocol.ts';
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

describe('A consent that was authorised', () => {
  it('is confirmed again by its customer, and by nobody else', async () => {
    const id = await lodgeAccess(tpp);
    const first = await journeys.tokensUnder(id);
    const second = await journeys.tokensUnder(id);
    expect(second.tokens.claims()?.['openbanking_intent_id']).toBe(id);
    await openid.refreshTokenGrant(tpp.configuration, first.refreshToken);
    const history = await rows(
      server,
      'SELECT move FROM consent_history WHERE consent_id = $1 ORDER BY version',
      [id],
    );
    expect(history.map(({ move }) => move)).toEqual(['create', 'authorise', 'reauthenticate']);
    const password = 'another customer’s long password';
    const profile = { username: 'robin', name: 'Robin' };
    await addCustomer({ profile, password }, { ...server.running.app, clock: systemClock });
    const agent = createCustomerAgent(server);
    const page = await agent.open((await intentRequest(tpp, id)).url);
    const done = await agent.submit(page, { username: 'robin', password, action: 'login' });
    expect(new URL(done.url).searchParams.get('error')).toBe('access_denied');
    expect(await ukStatusOf(tpp, id)).toBe('AUTH');
  });

  it('is kept by who does not confirm it', async () => {
    const id = await lodgeAccess(tpp);
    const { agent } = await journeys.authorise(id);
    const { page } = await consentPageOf(server, (await intentRequest(tpp, id)).url, agent);
    expect(page.html).toContain('You have allowed this before');
    const done = await agent.submit(page, { decision: 'deny' });
    expect(new URL(done.url).searchParams.get('error')).toBe('access_denied');
    expect(await ukStatusOf(tpp, id)).toBe('AUTH');
  });

  it('has a grant of its own: another one’s end does not touch it', async () => {
    const [one, two] = [await lodgeAccess(tpp), await lodgeAccess(tpp)];
    const { agent, tokens } = await journeys.tokensUnder(one);
    const request = await intentRequest(tpp, two);
    const { page } = await consentPageOf(server, request.url, agent);
    const done = await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
    const both = await openid.authorizationCodeGrant(
      tpp.configuration,
      new URL(done.url),
      request.checks,
    );
    await tpp.call('DELETE', `${ukAccess}/${two}`, { scope: 'accounts' });
    expect(await journeys.introspect(both.access_token, 'bank-rs')).toEqual({ active: false });
    expect(await journeys.introspect(tokens.access_token, 'bank-rs')).toMatchObject({
      active: true,
    });
  });

  it('gives nothing to a later request without one', async () => {
    const { agent } = await journeys.tokensUnder(await lodgeAccess(tpp));
    const { configuration, redirectUri } = tpp;
    const parameters = { redirect_uri: redirectUri, scope: 'openid accounts' };
    const url = openid.buildAuthorizationUrl(configuration, {
      ...{ ...parameters, code_challenge_method: 'S256' },
      code_challenge: await openid.calculatePKCECodeChallenge(openid.randomPKCECodeVerifier()),
    });
    const page = await agent.open(url.href);
    expect(page.html).toContain('Give Example Money access?');
  });
});

describe('The end of a consent', () => {
  it('ends codes, refresh tokens, opaque and JWT access tokens on every process', async () => {
    const beside = await world.beside();
    const id = await lodgeAccess(tpp);
    const jwt = await journeys.tokensUnder(id);
    const opaque = await journeys.tokensUnder(id, { resource: opaqueBankApi });
    const { callback, request } = await journeys.authorise(id);
    const active = async (at: AuthorizationServer) => [
      (await journeys.introspect(jwt.tokens.access_token, 'bank-rs', at))['active'],
      (await journeys.introspect(opaque.tokens.access_token, 'opaque-bank-rs', at))['active'],
    ];
    expect(await active(beside)).toEqual([true, true]);
    const ended = await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect(ended.status).toBe(204);
    expect(await active(beside)).toEqual([false, false]);
    expect(await active(server)).toEqual([false, false]);
    const refused = { error: 'invalid_grant' };
    for (const { refreshToken } of [jwt, opaque]) {
      await expect(openid.refreshTokenGrant(tpp.configuration, refreshToken)).rejects.toMatchObject(
        refused,
      );
    }
    await expect(
      openid.authorizationCodeGrant(tpp.configuration, callback, request.checks),
    ).rejects.toMatchObject(refused);
    const userinfo = await server.fetch(tpp.certificate)(`${server.mtlsOrigin}/userinfo`, {
      headers: { authorization: `Bearer ${jwt.tokens.access_token}` },
    });
    expect(userinfo.status).toBe(401);
    expect(await ukStatusOf(tpp, id)).toBe('CANC');
    await beside.stop();
  });

  it('also ends what was still being written: a grant without its consent stands for nothing', async () => {
    const id = await lodgeAccess(tpp);
    const { tokens } = await journeys.tokensUnder(id);
    const grant = await rows(
      server,
      `SELECT * FROM artifacts WHERE kind = 'Grant' AND grant_digest = sha256($1::bytea)`,
      [Buffer.from(id)],
    );
    expect(grant).toHaveLength(1);
    await rows(server, `UPDATE consents SET state = 'revoked' WHERE id = $1`, [id]);
    expect(await journeys.introspect(tokens.access_token, 'bank-rs')).toEqual({ active: false });
  });

  it('does not come from the end of tokens', async () => {
    const id = await lodgeAccess(tpp);
    const { refreshToken } = await journeys.tokensUnder(id);
    await openid.tokenRevocation(tpp.configuration, refreshToken);
    await expect(openid.refreshTokenGrant(tpp.configuration, refreshToken)).rejects.toThrow();
    expect(await ukStatusOf(tpp, id)).toBe('AUTH');
    await journeys.tokensUnder(id);
  });
});

describe('Fifty decisions at once on two processes', () => {
  it('make one, and tell the others', async () => {
    const beside = await world.beside();
    const id = await lodgeAccess(tpp);
    const first = createCustomerAgent(server);
    await consentPageOf(server, (await intentRequest(tpp, id)).url, first);
    const forms = [];
    for (let at = 0; at < 50; at += 1) {
      const agent = first.fork(at % 2 === 0 ? server : beside);
      const { page } = await consentPageOf(server, (await intentRequest(tpp, id)).url, agent);
      forms.push({ agent, page, decision: at % 5 === 0 ? 'deny' : 'allow' });
    }
    const answers = await Promise.all(
      forms.map(({ agent, page, decision }) =>
        agent.submit(page, { ...chooseFirst(page), decision }),
      ),
    );
    await beside.stop();
    const history = await rows(
      server,
      'SELECT move FROM consent_history WHERE consent_id = $1 ORDER BY version',
      [id],
    );
    const [, decided, ...more] = history.map(({ move }) => move);
    expect(decided === 'authorise' || decided === 'reject').toBe(true);
    expect(more.every((move) => move === 'reauthenticate')).toBe(true);
    const codes = answers.filter(({ url }) => new URL(url).searchParams.has('code'));
    const decisions = decided === 'authorise' ? history.length - 1 : 0;
    // One that the next overtakes before its code is made is asked again.
    expect(codes.length).toBeLessThanOrEqual(decisions);
    expect(codes.length > 0).toBe(decisions > 0);
    const told = answers.filter(({ status }) => status === 409);
    expect(told.length).toBeGreaterThan(0);
    expect(await ukStatusOf(tpp, id)).toBe(decided === 'authorise' ? 'AUTH' : 'RJCT');
  });
});

it('Tokens are for the bank’s API', async () => {
  const { tokens } = await journeys.tokensUnder(await lodgeAccess(tpp));
  expect([decodeJwt(tokens.access_token).aud].flat()).toContain(bankApi);
});

import * as openid from 'openid-client';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  isLogin,
  linksIn,
  overview,
  pageOf,
  sendForm,
  signedIn,
  titleOf,
  tokenIn,
} from '../support/account-pages.ts';
import { accountWorld } from '../support/account-world.ts';
import type { AccountParts } from '../support/account-world.ts';
import { chooseFirst, consentPageOf, intentRequest } from '../support/consents.ts';
import type { CustomerAgent } from '../support/customer-agent.ts';
import { atOnce } from '../support/journey.ts';
import { rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

const { parts, open, authorised, historyOf, auditOf, statusOf, changeForm, setAhead } =
  accountWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;
let agent: CustomerAgent;
let tpp: AccountParts['tpp'];
let journeys: AccountParts['journeys'];

beforeAll(() => {
  ({ server, beside, agent, tpp, journeys } = parts());
});

describe('Changing a consent', () => {
  it('holds at once for the status, introspection and new tokens', async () => {
    const detail = [
      {
        type: 'account_information',
        permissions: ['balances'],
        expires_at: '2027-04-01T00:00:00Z',
      },
    ];
    const request = await intentRequest(tpp, '', {
      claims: '',
      authorization_details: JSON.stringify(detail),
    });
    const { page: question } = await consentPageOf(server, request.url, agent);
    const allowed = await agent.submit(question, { ...chooseFirst(question), decision: 'allow' });
    const tokens = await openid.authorizationCodeGrant(
      tpp.configuration,
      new URL(allowed.url),
      request.checks,
    );
    const id = String(decodeJwt(tokens.access_token)['consent_id']);
    const { page, accounts } = await changeForm(id);
    const [, savings = ''] = accounts;
    const done = await agent.submit(page, { [savings]: 'on', until: '2027-02-28' });
    expect(done.url).toBe(`${server.issuer}${pageOf(id)}?done=changed`);
    expect(done.html).toContain('Your changes are saved.');
    expect(done.html).toContain('You chose other accounts and changed the end date.');
    expect(done.html).toContain('Until 28 February 2027 at 23:59 UTC');
    const chosen = [{ id: savings.slice('account:'.length) }];
    for (const at of [server, beside]) {
      expect(await statusOf(id, at)).toMatchObject({ status: 'authorised', accounts: chosen });
      const { authorization_details: told } = await journeys.introspect(
        tokens.access_token,
        'bank-rs',
        at,
      );
      expect(told).toMatchObject([{ consent_id: id, accounts: chosen }]);
    }
    const fresh = await openid.refreshTokenGrant(tpp.configuration, tokens.refresh_token ?? '');
    expect(fresh['authorization_details']).toMatchObject([{ accounts: chosen }]);
    expect(decodeJwt(fresh.access_token)['authorization_details']).toMatchObject([
      { accounts: chosen, expires_at: '2027-02-28T23:59:59.000Z' },
    ]);
    expect(await auditOf('consent.changed', id)).toBe(1);
  });

  it('brings the end forward, and back again as far as the client asked', async () => {
    const id = await authorised();
    const ends: unknown[] = [];
    for (const until of ['2026-12-24', '2027-11-22']) {
      const { page, chosen } = await changeForm(id);
      await agent.submit(page, { ...chosen, until });
      const [row] = await rows(server, 'SELECT expires_at FROM consents WHERE id = $1', [id]);
      ends.push((row?.['expires_at'] as Date).toISOString());
    }
    expect(ends).toEqual(['2026-12-24T23:59:59.000Z', '2027-11-22T00:00:00.000Z']);
    expect((await historyOf(id)).slice(2)).toEqual([
      ['change', 'customer', 'end'],
      ['change', 'customer', 'end'],
    ]);
  });

  it.each([
    { until: '2027-11-23', says: 'Enter a date from' },
    { until: '2020-01-01', says: 'Enter a date from' },
    { until: '2027-02-29', says: 'Enter the end as a date' },
    { until: 'tomorrow', says: 'Enter the end as a date' },
    { until: '', says: 'Enter the end as a date' },
    { until: '+002027-01-01', says: 'Enter the end as a date' },
  ])('refuses the end "$until" and keeps what was chosen', async ({ until, says }) => {
    const id = await authorised();
    const { page, accounts } = await changeForm(id);
    const [, savings = ''] = accounts;
    const again = await agent.submit(page, { [savings]: 'on', until });
    expect(again.status).toBe(422);
    expect(again.html).toContain(says);
    expect(again.html).toContain(`name="${savings}" value="on" checked`);
    expect(await historyOf(id)).toHaveLength(2);
  });

  it('refuses no account at all, and one that is not offered', async () => {
    const id = await authorised();
    const { page, until } = await changeForm(id);
    for (const fields of [{}, { 'account:somebody-elses': 'on' }]) {
      const again = await agent.submit(page, { ...fields, until });
      expect(again.status).toBe(422);
      expect(again.html).toContain('Choose at least one account');
    }
    expect(await historyOf(id)).toHaveLength(2);
  });

  it.each(['', 'x', '-1', '1e9', '99999999999'])('refuses the version "%s"', async (version) => {
    const id = await authorised();
    const { page, accounts, until } = await changeForm(id);
    const answer = await agent.submit(page, { [accounts[1] ?? '']: 'on', until, version });
    expect(answer.status).toBe(400);
    expect(await historyOf(id)).toHaveLength(2);
  });

  it('writes nothing down where nothing is other than before', async () => {
    const id = await authorised();
    const { page, chosen, until } = await changeForm(id);
    const done = await agent.submit(page, { ...chosen, until });
    expect(done.status).toBe(200);
    expect(await historyOf(id)).toHaveLength(2);
  });

  it('tells who comes second, and shows what holds now', async () => {
    const id = await authorised();
    const [first, second] = [await changeForm(id), await changeForm(id)];
    const [, savings = ''] = first.accounts;
    await agent.submit(first.page, { [savings]: 'on', until: first.until });
    const again = await agent.submit(second.page, { ...second.chosen, until: '2027-01-01' });
    expect(again.status).toBe(409);
    expect(again.html).toContain('This was changed somewhere else at the same time.');
    expect(again.html).toContain(`name="${savings}" value="on" checked`);
    const done = await agent.submit(again, { [savings]: 'on', until: '2027-01-01' });
    expect(done.html).toContain('Until 1 January 2027 at 23:59 UTC');
    expect(await historyOf(id)).toHaveLength(4);
  });

  it('lets one of fifty through, on two processes', async () => {
    const id = await authorised();
    const { page, accounts } = await changeForm(id);
    let day = 0;
    const answers = await atOnce([server, beside], 50, (at) => {
      day += 1;
      const until = new Date(Date.UTC(2027, 0, day)).toISOString().slice(0, 10);
      const fields = { csrf: tokenIn(page), version: '2', [accounts[1] ?? '']: 'on', until };
      return sendForm(at, agent, { path: pageOf(id, '/change'), fields });
    });
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([303, ...Array<number>(49).fill(409)]);
    expect(await historyOf(id)).toHaveLength(3);
    expect(await auditOf('consent.changed', id)).toBe(1);
  });

  it('comes too late for a consent that has ended', async () => {
    const id = await authorised();
    const { page, accounts, until } = await changeForm(id);
    await agent.submit(await open(pageOf(id, '/withdraw')), {});
    const done = await agent.submit(page, { [accounts[1] ?? '']: 'on', until });
    expect(done.url).toBe(server.issuer + pageOf(id));
    expect(done.html).toContain('You stopped it.');
    expect(await historyOf(id)).toHaveLength(3);
  });
});

describe('A form that was not sent from our page', () => {
  it.each([
    { why: 'without a token', csrf: () => Promise.resolve({}) },
    { why: 'with a token of another kind', csrf: () => Promise.resolve({ csrf: 'x'.repeat(64) }) },
    {
      why: 'with another session’s token',
      async csrf() {
        const { page } = await signedIn(server, { path: '/account/sessions/others/end' });
        return { csrf: tokenIn(page) };
      },
    },
    { why: 'from another origin', headers: { origin: 'https://evil.example.com' } },
    { why: 'from another site', headers: { 'sec-fetch-site': 'cross-site' } },
  ])('changes and ends nothing: $why', async ({ csrf, headers = {} }) => {
    const id = await authorised();
    const token = tokenIn(await open(pageOf(id, '/withdraw')));
    const fields: Record<string, string> = {
      version: '2',
      until: '2027-01-01',
      ...(csrf === undefined ? { csrf: token } : await csrf()),
    };
    for (const below of ['/change', '/withdraw']) {
      const answer = await sendForm(server, agent, { path: pageOf(id, below), fields, headers });
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('To your overview');
    }
    expect(await historyOf(id)).toHaveLength(2);
  });
});

describe('After some time', () => {
  it('the password is asked for again: to change things after five minutes, to see them after five idle ones', async () => {
    const id = await authorised();
    const { agent: own } = await signedIn(server);
    const { page, accounts, until } = await changeForm(id, own);
    setAhead(4 * 60_000);
    expect(isLogin(await open(overview, own))).toBe(false);
    await server.running.app.flushMoments();
    setAhead(6 * 60_000);
    expect(titleOf(await open(pageOf(id), own))).toBe('Access for Example Money');
    const stale = await own.submit(page, { [accounts[1] ?? '']: 'on', until });
    expect(titleOf(stale)).toBe('Confirm that it is you');
    expect(stale.html).toContain(`value="${server.customer.username}"`);
    expect(await historyOf(id)).toHaveLength(2);
    const { username, password } = server.customer;
    const form = await own.submit(stale, { username, password, action: 'login' });
    expect(form.url).toBe(server.issuer + pageOf(id, '/change'));
    expect(isLogin(form)).toBe(false);
    setAhead(20 * 60_000);
    const idle = await open(pageOf(id), own);
    expect(isLogin(idle)).toBe(true);
    expect(new URL(idle.url).searchParams.get('next')).toBe(pageOf(id));
  });

  it('a consent that time has ended is shown so, before anything has written that down', async () => {
    const id = await authorised();
    await rows(
      server,
      `UPDATE consents SET expires_at = now() - interval '1 minute' WHERE id = $1`,
      [id],
    );
    const page = await open(pageOf(id));
    expect(page.html).toContain('Ended as agreed, ');
    expect(linksIn(page, /(change|withdraw)$/)).toEqual([]);
    expect((await open(pageOf(id, '/withdraw'))).url).toBe(server.issuer + pageOf(id));
  });
});

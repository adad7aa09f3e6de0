import * as openid from 'openid-client';
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  linksIn,
  newCustomer,
  overview,
  pageOf,
  sendForm,
  signedIn,
  titleOf,
  tokenIn,
} from '../support/account-pages.ts';
import { accountWorld } from '../support/account-world.ts';
import type { AccountParts } from '../support/account-world.ts';
import {
  chooseFirst,
  consentPageOf,
  intentRequest,
  lodgeAccess,
  opaqueBankApi,
} from '../support/consents.ts';
import type { Tpp } from '../support/consents.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { create, merge, query, scopeRequest } from '../support/grants.ts';
import { atOnce } from '../support/journey.ts';
import { rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

const { parts, open, setAhead } = accountWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;
let tpp: Tpp;
let other: Tpp;
let journeys: AccountParts['journeys'];

beforeAll(() => {
  ({ server, beside, tpp, journeys } = parts());
  ({ other } = parts().world);
});

const endLinks = (page: Page) => linksIn(page, /^\/account\/apps\/[\w-]{43}\/end$/);
const scope = 'openid profile email offline_access accounts';

/** A customer of their own, at a browser that is signed in. */
async function customerAtOverview() {
  const customer = await newCustomer(server);
  const { agent } = await signedIn(server, { credentials: customer });
  return { customer, agent };
}

/** What a client gets that asks for scopes alone, and the customer allows it. */
async function allow(agent: CustomerAgent, parameters: Record<string, string> = {}, as = tpp) {
  const request = await scopeRequest(as, { scope, ...parameters });
  const { page } = await consentPageOf(server, request.url, agent);
  const { url } = page.html === '' ? page : await agent.submit(page, { decision: 'allow' });
  const callback = new URL(url);
  const exchange = () => openid.authorizationCodeGrant(as.configuration, callback, request.checks);
  return { exchange };
}

/** Sessions of the database that wait for another one. */
const waiting = () =>
  rows(
    server,
    `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );

const refresh = (token = '') => openid.refreshTokenGrant(tpp.configuration, token);
const refused = { error: 'invalid_grant' };

/** How often this customer ended grants. */
async function endings(customerId: string): Promise<unknown[]> {
  await Promise.all([server, beside].map(({ running }) => running.app.audit.flush()));
  const found = await rows(
    server,
    `SELECT client_id, detail->>'grants' AS grants FROM audit_events
      WHERE type = 'grant.revoked' AND actor_type = 'customer' AND actor_id = $1`,
    [customerId],
  );
  return found.map(({ client_id: client, grants }) => [client, grants]);
}

describe('The overview', () => {
  it('is where the address of all account pages leads', async () => {
    const { agent } = await customerAtOverview();
    expect((await agent.open(`${server.issuer}/account`)).url).toBe(server.issuer + overview);
  });

  it('shows each client that was allowed without a consent once, with everything that it can do', async () => {
    const { agent } = await customerAtOverview();
    await (
      await allow(agent, { scope: 'openid profile offline_access', prompt: 'consent' })
    ).exchange();
    await (await allow(agent, { ...create, scope: 'openid email accounts' })).exchange();
    await (await allow(agent, { scope: 'openid' }, other)).exchange();
    const page = await open(overview, agent);
    const [section = ''] = /<section aria-labelledby="apps">.*?<\/section>/s.exec(page.html) ?? [];
    const sentences = [
      '>Apps with access<',
      ...['See your name and your profile details', 'See your email address', 'See your accounts'],
      'Keep this access while you are not signed in',
      'Recognise you when you come back', // the other client, which knows no more
    ];
    for (const words of sentences) expect(section.split(words)).toHaveLength(2);
    expect(endLinks(page)).toHaveLength(2);
    expect(page.html).not.toContain('No app has access');
  });

  it('says since when and until when', async () => {
    const { agent } = await customerAtOverview();
    await (await allow(agent)).exchange();
    const { html } = await open(overview, agent);
    const day = (date: Date) =>
      date.toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' });
    expect(html).toContain(`<dt>Allowed on</dt>\n            <dd>${day(new Date())}</dd>`);
    expect(html).toMatch(/<dt>Until<\/dt>\s+<dd>\d+ \w+ \d{4} at/);
    const [{ seconds } = {}] = await rows(
      server,
      `SELECT extract(epoch FROM max(expires_at) - now()) AS seconds FROM artifacts WHERE kind = 'Grant'`,
    );
    setAhead((Number(seconds) + 1) * 1000);
    const { agent: later } = await signedIn(server, { agent });
    expect(endLinks(await open(overview, later))).toEqual([]);
  });

  it('has consents as consents alone, and nothing of other customers', async () => {
    const { agent } = await customerAtOverview();
    const id = await lodgeAccess(tpp);
    const { page } = await consentPageOf(server, (await intentRequest(tpp, id)).url, agent);
    await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
    const { agent: somebody } = await customerAtOverview();
    await (await allow(somebody)).exchange();
    expect(endLinks(await open(overview, somebody))).toHaveLength(1);
    const own = await open(overview, agent);
    expect(own.html).toContain('With access now');
    expect(own.html).not.toContain('pps with access');
    expect(endLinks(own)).toEqual([]);
    await agent.submit(await open(pageOf(id, '/withdraw'), agent), {});
    expect(endLinks(await open(overview, agent))).toEqual([]);
  });
});

describe('Stopping an app', () => {
  it('ends codes, refresh tokens and access tokens at once on every process, and consents go on', async () => {
    const { agent, customer } = await customerAtOverview();
    const consentId = await lodgeAccess(tpp);
    const consentPage = await consentPageOf(
      server,
      (await intentRequest(tpp, consentId)).url,
      agent,
    );
    await agent.submit(consentPage.page, { ...chooseFirst(consentPage.page), decision: 'allow' });
    const jwt = await (await allow(agent)).exchange();
    const opaque = await (await allow(agent, { ...create, resource: opaqueBankApi })).exchange();
    const pending = await allow(agent, { ...create });
    const listed = await open(overview, agent);
    const [path = ''] = endLinks(listed);
    const question = await open(path, agent);
    expect(titleOf(question)).toBe('Stop the access of Example Money?');
    expect((await refresh(jwt.refresh_token)).access_token).not.toBe('');
    const done = await agent.submit(question, {});
    expect(done.url).toBe(`${server.issuer}${overview}?done=app-ended`);
    expect(done.html).toContain('That app no longer has this access.');
    expect(endLinks(done)).toEqual([]);
    for (const at of [server, beside]) {
      const active = [
        await journeys.introspect(jwt.access_token, 'bank-rs', at),
        await journeys.introspect(opaque.access_token, 'opaque-bank-rs', at),
      ];
      expect(active).toEqual([{ active: false }, { active: false }]);
    }
    await expect(refresh(opaque.refresh_token)).rejects.toMatchObject(refused);
    await expect(pending.exchange()).rejects.toMatchObject(refused);
    expect((await query(tpp, opaque['grant_id'] as string)).status).toBe(404);
    expect(await endings(customer.id)).toEqual([['aisp', '3']]);
    expect(listed.html).toContain('Other apps with access');
    expect(done.html).toContain('With access now');
    expect((await server.running.app.consents.find(consentId))?.state).toBe('authorised');
  });

  it('has the customer asked again, although the session remembers that they allowed it', async () => {
    const { agent } = await customerAtOverview();
    await (await allow(agent)).exchange();
    const again = await scopeRequest(tpp, { scope });
    expect((await agent.open(again.url)).html).toBe('');
    const [path = ''] = endLinks(await open(overview, agent));
    await agent.submit(await open(path, agent), {});
    const asked = await scopeRequest(tpp, { scope });
    expect((await agent.open(asked.url)).html).toContain('value="allow"');
  });

  it('at the moment of allowing it more does not let what it had come back', async () => {
    const { agent, customer } = await customerAtOverview();
    await (await allow(agent, { scope: 'openid profile offline_access' })).exchange();
    const more = await scopeRequest(tpp, { scope: 'openid profile offline_access accounts' });
    const page = await agent.open(more.url);
    expect(page.html).toContain('See your accounts');
    expect(page.html).not.toContain('profile details');
    const ending = new pg.Client(server.database.connection);
    await ending.connect();
    await ending.query('BEGIN');
    // What the dashboard does, held between the reading of the grant and its writing.
    await ending.query(`DELETE FROM artifacts WHERE kind = 'Grant' AND customer_id = $1`, [
      customer.id,
    ]);
    const answering = agent.submit(page, { decision: 'allow' });
    await expect.poll(waiting, { timeout: 10_000 }).toHaveLength(1);
    await ending.query('COMMIT');
    await ending.end();
    const again = await answering;
    expect(again.html).toContain('profile details');
    expect((await open(overview, agent)).html).not.toContain('profile details');
    const { url } = await agent.submit(again, { decision: 'allow' });
    const { configuration } = tpp;
    const tokens = await openid.authorizationCodeGrant(configuration, new URL(url), more.checks);
    expect(tokens.scope).toContain('accounts');
  });

  it('at the moment of merging more into a grant does not let what it had come back either', async () => {
    const { agent } = await customerAtOverview();
    const tokens = await (await allow(agent, { ...create, scope: 'openid accounts' })).exchange();
    const id = tokens['grant_id'] as string;
    const more = await scopeRequest(tpp, { ...merge(id), scope: 'openid profile' });
    const { page } = await consentPageOf(server, more.url, agent);
    const [path = ''] = endLinks(await open(overview, agent));
    const question = await open(path, agent);
    const holding = new pg.Client(server.database.connection);
    await holding.connect();
    await holding.query(`SELECT pg_advisory_lock(1);
      CREATE FUNCTION hold_grant() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
      CREATE TRIGGER hold_grant BEFORE INSERT ON artifacts FOR EACH ROW WHEN (NEW.kind = 'Grant')
        EXECUTE FUNCTION hold_grant()`);
    const merging = agent.submit(page, { decision: 'allow' }); // has read the grant, and waits to write the new one
    await expect.poll(waiting, { timeout: 10_000 }).toHaveLength(1);
    expect((await agent.submit(question, {})).html).toContain('no longer has this access');
    await holding.query('SELECT pg_advisory_unlock(1)');
    await merging;
    await holding.query('DROP FUNCTION hold_grant CASCADE');
    await holding.end();
    const { body } = await query(tpp, id);
    expect(JSON.stringify(body)).not.toContain('accounts');
    expect((await open(overview, agent)).html).not.toContain('See your accounts');
  });

  it('ended by one process holds at the other, which refreshes no more', async () => {
    const { agent } = await customerAtOverview();
    const { refresh_token: token } = await (await allow(agent)).exchange();
    const fork = agent.fork(beside);
    const [path = ''] = endLinks(await open(overview, fork));
    await fork.submit(await open(path, fork), {});
    await expect(refresh(token)).rejects.toMatchObject(refused);
  });

  it('happens once, however often it is sent and wherever', async () => {
    const { agent, customer } = await customerAtOverview();
    await (await allow(agent)).exchange();
    await (await allow(agent, { ...create })).exchange();
    const [path = ''] = endLinks(await open(overview, agent));
    const csrf = tokenIn(await open(path, agent));
    const answers = await atOnce([server, beside], 20, (at) =>
      sendForm(at, agent, { path, fields: { csrf } }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]));
    expect(await endings(customer.id)).toEqual([['aisp', '2']]);
    expect((await open(path, agent)).url).toBe(server.issuer + overview);
  });

  it('is the customer’s own alone, with a login, the form’s token and from our own page', async () => {
    const { agent } = await customerAtOverview();
    const tokens = await (await allow(agent)).exchange();
    const [path = ''] = endLinks(await open(overview, agent));
    const csrf = tokenIn(await open(path, agent));
    const { agent: foreign, customer } = await customerAtOverview();
    const unknown = path.replace(/[\w-]{43}/, 'A'.repeat(43));
    for (const where of [path, unknown]) {
      expect((await open(where, foreign)).url).toBe(server.issuer + overview);
      const token = tokenIn(await open('/account/sessions/others/end', foreign));
      const answer = await sendForm(server, foreign, { path: where, fields: { csrf: token } });
      const told = [answer.status, answer.headers.get('location')];
      expect(told).toEqual([303, `${overview}?done=app-ended`]);
    }
    expect(await endings(customer.id)).toEqual([]);
    const evil = { fields: { csrf }, headers: { origin: 'https://evil.example' } };
    expect((await sendForm(server, agent, { path, ...evil })).status).toBe(403);
    expect((await sendForm(server, agent, { path, fields: { csrf: 'x' } })).status).toBe(403);
    const stranger = agent.fork(server);
    await stranger.jar.removeAllCookies();
    const answer = await sendForm(server, stranger, { path, fields: { csrf } });
    expect(answer.headers.get('location')).toMatch(/^\/account\/login\?next=/);
    await refresh(tokens.refresh_token);
  });
});

it('names of clients and scopes are text, whatever they are', async () => {
  const { agent, customer } = await customerAtOverview();
  await (await allow(agent)).exchange();
  const canary = `"'><x-canary><script>canary()</script>`;
  await rows(
    server,
    `UPDATE artifacts SET client_id = $2 WHERE kind = 'Grant' AND customer_id = $1`,
    [...[customer.id, canary]],
  );
  const page = await open(overview, agent);
  expect(page.html).toContain('An app that Countersign Bank no longer knows');
  expect(page.html).not.toContain('<x-canary');
  const [path = ''] = endLinks(page);
  await agent.submit(await open(path, agent), {});
  expect(await endings(customer.id)).toEqual([[canary, '1']]);
});

import * as openid from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  isLogin,
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
  lodgePayment,
  opaqueBankApi,
  ukStatusOf,
} from '../support/consents.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { atOnce } from '../support/journey.ts';
import { rows, send } from '../support/protocol.ts';
import { plain } from '../../src/consents/regimes/plain.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const { parts, open, authorised, historyOf, auditOf, statusOf, setAhead } = accountWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;
let agent: CustomerAgent;
let tpp: AccountParts['tpp'];
let journeys: AccountParts['journeys'];

beforeAll(() => {
  ({ server, beside, agent, tpp, journeys } = parts());
});

describe('Who is not signed in', () => {
  it.each(['', '/change', '/withdraw'])('signs in first to see a consent%s', async (below) => {
    const path = pageOf(await authorised(), below);
    const stranger = await signedIn(server, { path });
    expect(stranger.page.url).toBe(server.issuer + path);
    expect(isLogin(stranger.page)).toBe(false);
    expect(stranger.page.html).toContain('Example Money');
  });

  it('changes and ends nothing', async () => {
    const id = await authorised();
    const { agent: stranger } = await signedIn(server, { credentials: await newCustomer(server) });
    await stranger.jar.removeAllCookies();
    for (const below of ['/change', '/withdraw']) {
      const fields = { csrf: 'x', version: '2' };
      const answer = await sendForm(server, stranger, { path: pageOf(id, below), fields });
      expect(answer.status).toBe(303);
      expect(answer.headers.get('location')).toMatch(/^\/account\/login\?next=/);
    }
    expect((await statusOf(id)).status).toBe('authorised');
  });

  it('is not known over the mTLS host', async () => {
    const answer = await send(server.fetch(tpp.certificate), server.mtlsOrigin + overview);
    expect(answer.status).toBe(404);
  });
});

describe('The list', () => {
  it('shows what gives access first, then what has ended, each in words', async () => {
    const customer = await newCustomer(server);
    const { agent: own, page: empty } = await signedIn(server, { credentials: customer });
    expect(empty.html).toContain('There is nothing here yet. No app has access.');
    const [active, ended, refused] = await Promise.all([1, 2, 3].map(() => lodgeAccess(tpp)));
    for (const [id = '', decision] of [
      [refused, 'deny'] as const,
      [ended, 'allow'] as const,
      [active, 'allow'] as const,
    ]) {
      const { page } = await consentPageOf(server, (await intentRequest(tpp, id)).url, own);
      await own.submit(page, { ...chooseFirst(page), decision });
    }
    await own.submit(await open(pageOf(ended ?? '', '/withdraw'), own), {});
    const page = await open(overview, own);
    const order = [
      'With access now',
      pageOf(active ?? ''),
      'Until 22 November 2027 at 00:00 UTC',
      'Your account details',
      'Current account ••••',
      'Not yet',
      'Earlier',
      pageOf(ended ?? ''),
      'Ended ',
      pageOf(refused ?? ''),
      'Not allowed, ',
    ].map((words) => page.html.indexOf(words));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
  });

  it('says when a consent was used last: by a token, and by a resource server that asks', async () => {
    const id = await authorised();
    expect((await open(pageOf(id))).html).toContain('<dd>Not yet</dd>');
    const { tokens } = await journeys.tokensUnder(id, { resource: opaqueBankApi });
    const written = async () => {
      await Promise.all([server, beside].map(({ running }) => running.app.flushMoments()));
      const found = await rows(
        server,
        'SELECT last_used_at FROM consent_uses WHERE consent_id = $1',
        [id],
      );
      return found.map(({ last_used_at: at }) => (at as Date).getTime());
    };
    const [first = 0] = await written();
    expect(Date.now() - first).toBeLessThan(30_000);
    expect((await open(pageOf(id))).html).not.toContain('<dd>Not yet</dd>');
    await statusOf(id, beside);
    expect(await written()).toEqual([first]); // once a minute, whichever process
    setAhead(61_000);
    await journeys.introspect(tokens.access_token, 'opaque-bank-rs');
    const [second = 0] = await written();
    expect(second).toBeGreaterThan(first + 59_000);
    setAhead(122_000);
    await statusOf(id, beside);
    expect((await written())[0]).toBeGreaterThan(second + 59_000);
  });

  it('has pages', async () => {
    const customer = await newCustomer(server);
    const { agent: own } = await signedIn(server, { credentials: customer });
    const ids = await Promise.all(Array.from({ length: 21 }, () => lodgeAccess(tpp)));
    for (const id of ids) {
      const facts = { by: { type: 'customer', id: customer.id }, customerId: customer.id } as const;
      await server.running.app.consents.move(id, 'authorise', facts);
    }
    const linked = (page: Page) => linksIn(page, /^\/account\/consents\/[\w-]{20,}$/);
    const first = await open(overview, own);
    const [next = ''] = linksIn(first, /page=2$/);
    const second = await open(next, own);
    expect([linked(first).length, linked(second).length]).toEqual([20, 1]);
    expect(new Set([...linked(first), ...linked(second)])).toEqual(
      new Set(ids.map((id) => pageOf(id))),
    );
    expect(linksIn(second, /page=1$/)).toHaveLength(1);
    expect(linksIn(second, /ui_locales=de/)).toEqual(['/account/consents?page=2&ui_locales=de']);
    for (const page of ['0', '-1', 'x', '1e3', '99999', '2&page=3']) {
      expect([page, (await open(`${overview}?page=${page}`, own)).status]).toEqual([page, 404]);
    }
  });

  it('is stored nowhere, framed by nobody, and in the customer’s language', async () => {
    const page = await open(`${overview}?ui_locales=de`);
    expect(page.html).toContain('Wer Zugriff auf Ihre Konten hat');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    await open(`${overview}?ui_locales=en`);
  });
});

describe('A consent of somebody else', () => {
  it('is as unknown as none, to look at, to change and to end', async () => {
    const [id, undecided] = [await authorised(), await lodgeAccess(tpp)];
    const { agent: other } = await signedIn(server, { credentials: await newCustomer(server) });
    const unknown = `urn:countersign:consent:${'A'.repeat(32)}`;
    const csrf = tokenIn(await open('/account/sessions/others/end', other));
    const withoutReference = (html: string) => html.replaceAll(/<code>[^<]*<\/code>/g, '');
    const look = async (path: string) => {
      const { status, html } = await open(path, other);
      return { status, html: withoutReference(html) };
    };
    const submit = async (path: string) => {
      const fields = { csrf, version: '2' };
      const { status, text } = await sendForm(server, other, { path, fields });
      return { status, html: withoutReference(text) };
    };
    for (const [below, act] of [
      ['', look],
      ['/change', look],
      ['/withdraw', look],
      ['/change', submit],
      ['/withdraw', submit],
    ] as const) {
      const none = await act(pageOf(unknown, below));
      expect(none.status).toBe(404);
      expect(await act(pageOf(id, below))).toEqual(none);
      expect(await act(pageOf(undecided, below))).toEqual(none);
    }
    expect(await historyOf(id)).toHaveLength(2);
    expect((await open(`${overview}/x`)).status).toBe(404);
  });
});

describe('Stopping to share', () => {
  it('ends codes, refresh tokens and access tokens at once on every process, and says so', async () => {
    const id = await lodgeAccess(tpp);
    const jwt = await journeys.tokensUnder(id);
    const opaque = await journeys.tokensUnder(id, { resource: opaqueBankApi });
    const { callback, request } = await journeys.authorise(id);
    const question = await open(pageOf(id, '/withdraw'));
    expect(titleOf(question)).toBe('Stop sharing with Example Money?');
    expect((await statusOf(id)).status).toBe('authorised');
    const done = await agent.submit(question, {});
    expect(done.url).toBe(`${server.issuer}${pageOf(id)}?done=withdrawn`);
    expect(done.html).toContain('It has ended. Nothing is shared any more.');
    expect(done.html).toContain('You stopped it.');
    expect(linksIn(done, /(change|withdraw)$/)).toEqual([]);
    for (const at of [server, beside]) {
      expect((await statusOf(id, at)).status).toBe('revoked');
      const active = [
        await journeys.introspect(jwt.tokens.access_token, 'bank-rs', at),
        await journeys.introspect(opaque.tokens.access_token, 'opaque-bank-rs', at),
      ];
      expect(active).toEqual([{ active: false }, { active: false }]);
    }
    const { configuration } = tpp;
    const refused = { error: 'invalid_grant' };
    await expect(openid.refreshTokenGrant(configuration, jwt.refreshToken)).rejects.toMatchObject(
      refused,
    );
    await expect(
      openid.authorizationCodeGrant(configuration, callback, request.checks),
    ).rejects.toMatchObject(refused);
    expect(await ukStatusOf(tpp, id)).toBe('CANC');
    expect(await historyOf(id)).toContainEqual(['revoke', 'customer', 'customer']);
  });

  it('happens once, however often it is sent and wherever', async () => {
    const id = await authorised();
    const csrf = tokenIn(await open(pageOf(id, '/withdraw')));
    const path = pageOf(id, '/withdraw');
    const answers = await atOnce([server, beside], 50, (at) =>
      sendForm(at, agent, { path, fields: { csrf } }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]));
    expect(await historyOf(id)).toEqual([
      ['create', 'client', null],
      ['authorise', 'customer', null],
      ['revoke', 'customer', 'customer'],
    ]);
    expect(await auditOf('consent.revoked', id)).toBe(1);
    expect((await open(path)).url).toBe(server.issuer + pageOf(id));
  });

  it('takes back the permission for a payment, which can’t be changed', async () => {
    const id = await lodgePayment(tpp);
    const { url } = await intentRequest(tpp, id, { scope: 'openid payments' });
    const { page } = await consentPageOf(server, url, agent);
    await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
    const detail = await open(pageOf(id));
    expect(detail.html).toContain('£165.88');
    expect(detail.html).toContain('ACME Inc');
    expect(linksIn(detail, /change$/)).toEqual([]);
    expect((await open(pageOf(id, '/change'))).url).toBe(server.issuer + pageOf(id));
    const question = await open(pageOf(id, '/withdraw'));
    expect(titleOf(question)).toBe('Withdraw your permission for this payment?');
    await agent.submit(question, {});
    expect((await statusOf(id)).status).toBe('revoked');
  });

  it('shows whom a client wants to pay, and why, as text whatever it is', async () => {
    const canary = (name: string) => `${name}"'><x-canary><script>canary()</script>`;
    const terms = {
      ...({ type: 'payment', permissions: [] } as const),
      payment: {
        ...{ amount: '1.00', currency: 'GBP', reference: canary('why') },
        payee: { scheme: canary('scheme'), identification: canary('where'), name: canary('who') },
      },
    };
    const { consents } = server.running.app;
    const { consent } = await consents.insert({ clientId: tpp.id, regime: plain, terms });
    const { id: customerId } = server.customer;
    const account = { id: canary('id'), name: canary('account'), number: canary('number') };
    await consents.move(consent.id, 'authorise', {
      ...{ by: { type: 'customer', id: customerId }, customerId, accounts: [account] },
    });
    for (const path of [overview, pageOf(consent.id), pageOf(consent.id, '/withdraw')]) {
      const { html } = await open(path);
      expect(html).not.toContain('<x-canary');
      expect(html.match(/<script/g)).toHaveLength(1);
    }
    const { html } = await open(pageOf(consent.id));
    for (const name of ['why', 'where', 'who', 'account', 'number']) {
      expect(html).toContain(`${name}&quot;&#39;&gt;&lt;x-canary`);
    }
  });

  it('goes on when the bank’s core does not answer, while accounts can’t be chosen', async () => {
    const away = await startAuthorizationServer({
      beside: server,
      environment: { COUNTERSIGN_ACCOUNTS_URL: 'https://127.0.0.1:1/accounts' },
    });
    const id = await authorised();
    const fork = agent.fork(away);
    expect((await open(pageOf(id, '/change'), fork)).status).toBe(503);
    await fork.submit(await open(pageOf(id, '/withdraw'), fork), {});
    expect((await statusOf(id)).status).toBe('revoked');
    await away.stop();
  });
});

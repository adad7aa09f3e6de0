import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  browserNamed,
  devices,
  isLogin,
  linksIn,
  sendForm,
  newCustomer,
  signedIn,
  titleOf,
  tokenIn,
} from '../support/account-pages.ts';
import type { Page } from '../support/customer-agent.ts';
import { atOnce, introspect } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { rows } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { firefox, forTold, isIn, isOut, safari, sessionWorld } from '../support/session-world.ts';

const hostile = '<script>canary()</script>"\'><x-canary>';
const { parts, notices, open, customerAt, isSignedIn, auditOf, setAhead } = sessionWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;
let told: openid.Configuration;

beforeAll(() => {
  ({ server, beside, told } = parts());
});

const endLinks = (page: Page) => linksIn(page, /^\/account\/sessions\/[\w-]{43}\/end$/);

describe('The list of devices', () => {
  it('names each browser and system, where it is and since when, this one first', async () => {
    const { first, second } = await customerAt(safari, firefox);
    const page = await open(devices, second);
    const order = ['Firefox on Windows', 'This device', 'Safari on iPhone'].map((words) =>
      page.html.indexOf(words),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
    expect(page.html).toContain('127.0.0.*');
    expect(page.html).not.toContain('127.0.0.1');
    expect(endLinks(page)).toHaveLength(1);
    expect(endLinks(await open(devices, first))).not.toEqual(endLinks(page));
  });

  it('shows nothing of what a browser calls itself but names that we know', async () => {
    const { first } = await customerAt(hostile);
    const page = await open(devices, first);
    expect(page.html).toContain('Unknown browser');
    expect(page.html).not.toContain('canary');
  });

  it('keeps neither the whole address nor the browser’s name readable', async () => {
    const { credentials } = await customerAt(safari);
    const [row] = await rows(
      server,
      'SELECT device FROM customer_sessions WHERE customer_id = $1',
      [credentials.id],
    );
    const kept = Buffer.from(row?.['device'] as Uint8Array).toString('latin1');
    expect(kept.length).toBeGreaterThan(safari.length);
    expect(kept).not.toMatch(/iPhone|127\.0/);
  });

  it('has sessions that began at an app as well, and says when they were used last', async () => {
    const credentials = await newCustomer(server);
    const agent = browserNamed(server, firefox);
    const { url } = await authorizationRequest(told, forTold);
    await agent.authorize(url, credentials);
    const seenAt = async () => {
      await server.running.app.flushMoments();
      const [row] = await rows(
        server,
        'SELECT last_seen_at AS at FROM customer_sessions WHERE customer_id = $1',
        [credentials.id],
      );
      return (row?.['at'] as Date).getTime();
    };
    const before = await seenAt();
    expect((await open(devices, agent)).html).toContain('Firefox on Windows');
    expect(await seenAt()).toBe(before); // once a minute
    setAhead(61_000);
    await open(devices, agent);
    expect(await seenAt()).toBeGreaterThan(before + 60_000);
  });

  it('is gone with the customer’s suspension', async () => {
    const { credentials, first } = await customerAt(safari);
    await server.running.app.customers.setStatus(credentials.id, 'suspended');
    expect(isLogin(await open(devices, first))).toBe(true);
  });
});

describe('Signing out a device', () => {
  it('takes effect at once on every process, and tells the apps; what they were allowed stays', async () => {
    const { credentials, first, second } = await customerAt(safari, firefox);
    const parameters = { ...forTold };
    const { url, checks } = await authorizationRequest(told, parameters);
    const tokens = await openid.authorizationCodeGrant(
      told,
      await second.authorize(url, credentials),
      checks,
    );
    const [link = ''] = endLinks(await open(devices, first));
    const question = await open(link, first);
    expect(titleOf(question)).toBe('Sign out Firefox on Windows?');
    expect(await isSignedIn(second)).toEqual(isIn);
    const done = await first.submit(question, {});
    expect(done.url).toBe(`${server.issuer}${devices}?done=session-ended`);
    expect(done.html).toContain('That device is signed out.');
    expect(done.html).not.toContain('Firefox');
    expect([await isSignedIn(second, beside), await isSignedIn(second)]).toEqual([isOut, isOut]);
    expect([await isSignedIn(first, beside), await isSignedIn(first)]).toEqual([isIn, isIn]);
    expect(notices).toHaveLength(1);
    expect(decodeJwt(notices[0] ?? '')).toMatchObject({
      ...{ aud: 'told', sub: credentials.id, sid: expect.any(String) as string },
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    });
    expect(await introspect(server, tokens.access_token)).toMatchObject({ active: true });
    expect(await auditOf(credentials.id)).toBe(1);
  });

  it('also ends what a request that was on its way writes once more', async () => {
    const { credentials, first, second } = await customerAt(safari, firefox);
    const copy = `SELECT * FROM artifacts WHERE kind = 'Session' AND customer_id = '${credentials.id}'`;
    await rows(server, `CREATE TABLE kept AS ${copy}`);
    await first.submit(await open(endLinks(await open(devices, first))[0] ?? '', first), {});
    await rows(server, 'INSERT INTO artifacts SELECT * FROM kept ON CONFLICT DO NOTHING');
    await rows(server, 'DROP TABLE kept');
    expect(await rows(server, copy)).toHaveLength(2);
    expect([await isSignedIn(first), await isSignedIn(second)]).toEqual([isIn, isOut]);
  });

  it('ends sessions from before they were listed', async () => {
    const { credentials, first, second } = await customerAt(safari, firefox);
    await rows(server, 'DELETE FROM customer_sessions WHERE customer_id = $1', [credentials.id]);
    const page = await open(devices, first);
    expect(page.html).toContain('Unknown browser');
    await first.submit(await open('/account/sessions/others/end', first), {});
    expect([await isSignedIn(first), await isSignedIn(second)]).toEqual([isIn, isOut]);
  });

  it('happens once, however often it is sent and wherever', async () => {
    const { credentials, first } = await customerAt(safari, firefox);
    const [path = ''] = endLinks(await open(devices, first));
    const csrf = tokenIn(await open(path, first));
    const answers = await atOnce([server, beside], 50, (at) =>
      sendForm(at, first, { path, fields: { csrf } }),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]));
    expect(await auditOf(credentials.id)).toBe(1);
    expect((await open(path, first)).url).toBe(server.issuer + devices);
  });

  it('leaves somebody else’s device and this one alone', async () => {
    const [one, other] = [await customerAt(safari, firefox), await customerAt(safari)];
    const [foreign = ''] = endLinks(await open(devices, one.first));
    const [own = ''] = endLinks(await open(devices, one.second));
    expect((await open(foreign, other.first)).url).toBe(server.issuer + devices);
    const question = await open('/account/sessions/others/end', other.first);
    const csrf = tokenIn(question);
    const answer = await sendForm(server, other.first, { path: foreign, fields: { csrf } });
    const none = await sendForm(server, other.first, {
      ...{ path: `/account/sessions/${'A'.repeat(43)}/end`, fields: { csrf } },
    });
    expect([answer.status, answer.headers.get('location')]).toEqual([
      none.status,
      none.headers.get('location'),
    ]);
    const ownToken = tokenIn(await open('/account/sessions/others/end', one.first));
    await sendForm(server, one.first, { path: own, fields: { csrf: ownToken } });
    expect([await isSignedIn(one.first), await isSignedIn(one.second)]).toEqual([isIn, isIn]);
    expect(await auditOf(other.credentials.id)).toBe(0);
  });

  it('can be done to all others at once', async () => {
    const { credentials, first, second } = await customerAt(safari, firefox);
    const third = browserNamed(server, firefox);
    await signedIn(server, { agent: third, credentials });
    const done = await first.submit(await open('/account/sessions/others/end', first), {});
    expect(done.html).toContain('All other devices are signed out.');
    expect(linksIn(done, /others/)).toEqual([]);
    const left = [await isSignedIn(first), await isSignedIn(second), await isSignedIn(third)];
    expect(left).toEqual([isIn, isOut, isOut]);
  });

  it('needs a login that is not older than five minutes, and a form of our own', async () => {
    const { credentials, first, second } = await customerAt(safari, firefox);
    const [path = ''] = endLinks(await open(devices, first));
    const csrf = tokenIn(await open(path, first));
    const bad = await Promise.all([
      sendForm(server, first, { path, fields: {} }),
      sendForm(server, first, {
        path,
        fields: { csrf },
        headers: { origin: 'https://evil.example' },
      }),
      sendForm(server, first, {
        path,
        fields: {
          csrf: tokenIn(await open(endLinks(await open(devices, second))[0] ?? '', second)),
        },
      }),
    ]);
    expect(bad.map(({ status }) => status)).toEqual([403, 403, 403]);
    setAhead(4 * 60_000);
    await open(devices, first);
    await server.running.app.flushMoments();
    setAhead(6 * 60_000);
    expect(titleOf(await open(devices, first))).toBe('Where you are signed in');
    for (const asked of [path, '/account/sessions/others/end']) {
      expect(titleOf(await open(asked, first))).toBe('Confirm that it is you');
      const sent = await sendForm(server, first, { path: asked, fields: { csrf } });
      expect(sent.headers.get('location')).toMatch(
        /^\/account\/login\?next=%2Faccount%2Fsessions$/,
      );
    }
    setAhead(0);
    expect(await isSignedIn(second)).toEqual(isIn);
    expect(await auditOf(credentials.id)).toBe(0);
  });
});

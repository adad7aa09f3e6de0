import { beforeAll, describe, expect, it } from 'vitest';
import {
  devices,
  isLogin,
  newCustomer,
  overview,
  sendForm,
  signedIn,
  titleOf,
  tokenIn,
} from '../support/account-pages.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { rows, send } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { isOut, safari, sessionWorld } from '../support/session-world.ts';

const { parts, open, customerAt, isSignedIn, setAhead } = sessionWorld();
let server: AuthorizationServer;
let beside: AuthorizationServer;

beforeAll(() => {
  ({ server, beside } = parts());
});

describe('The login of our own pages', () => {
  const login = (next = '/account/sessions') =>
    `/account/login?${new URLSearchParams({ next }).toString()}`;

  it('gives the session another cookie each time, and keeps no other customer’s', async () => {
    const { credentials, first } = await customerAt(safari);
    const cookie = async () =>
      /__Host-session=([^;]+)/.exec(await first.jar.getCookieString(server.issuer))?.[1];
    const before = await cookie();
    setAhead(301_000);
    const again = await signedIn(server, { agent: first, credentials, path: devices });
    expect(titleOf(again.page)).toBe('Where you are signed in');
    const after = await cookie();
    expect(after).not.toBe(before);
    const stale = createCustomerAgent(server, first.jar.cloneSync());
    await stale.jar.setCookie(`__Host-session=${before ?? ''}; Path=/; Secure`, server.issuer);
    expect(isLogin(await open(devices, stale))).toBe(true);
    const [count] = await rows(
      server,
      `SELECT count(*)::int AS n FROM customer_sessions WHERE customer_id = $1`,
      [credentials.id],
    );
    expect(count).toEqual({ n: 1 });

    setAhead(700_000);
    const other = await newCustomer(server);
    const { page } = await signedIn(server, { agent: first, credentials: other });
    expect(page.html).toContain(`Robin ${other.username}`);
    const left = await rows(
      server,
      `SELECT ended_at IS NOT NULL AS ended FROM customer_sessions WHERE customer_id = $1`,
      [credentials.id],
    );
    expect(left).toEqual([{ ended: true }]);
  });

  it('goes on to one of our pages only', async () => {
    for (const next of [
      'https://evil.example/account/consents',
      '//evil.example',
      '/\\evil.example',
      '/account/../logout',
      '/account/login',
      '/logout',
      '/account/consents?next=https://evil.example',
      '/account/consents\r\nx: y',
      '',
    ]) {
      const { agent } = await signedIn(server, { path: login(next) });
      const page = await open(login(next), agent);
      expect([next, page.url]).toEqual([next, server.issuer + overview]);
    }
    const { page } = await signedIn(server, { path: login('/account/consents?page=2') });
    expect(page.url).toBe(`${server.issuer}/account/consents?page=2`);
  });

  it('refuses a form of another browser, and one without its cookie', async () => {
    const [one, two] = [createCustomerAgent(server), createCustomerAgent(server)];
    const [page] = [await open(login(), one), await open(login(), two)];
    const { username, password } = server.customer;
    const fields = { csrf: tokenIn(page), username, password, action: 'login' };
    const bare = createCustomerAgent(server);
    for (const agent of [two, bare]) {
      const answer = await sendForm(server, agent, { path: login(), fields });
      expect(answer.status).toBe(403);
      expect(answer.headers.getSetCookie().join()).not.toContain('session');
    }
    const cross = await sendForm(server, one, {
      ...{ path: login(), fields, headers: { 'sec-fetch-site': 'cross-site' } },
    });
    expect(cross.status).toBe(403);
    expect((await sendForm(server, one, { path: login(), fields })).status).toBe(303);
  });

  it('says no more than the login of an app, has no way back to one, and slows down as it does', async () => {
    const agent = createCustomerAgent(server);
    const page = await open(login(), agent);
    expect(page.html).not.toContain('value="cancel"');
    expect(page.headers.get('content-security-policy')).toContain(
      "form-action 'self';".slice(0, -1),
    );
    const { username } = await newCustomer(server);
    const again = await agent.submit(page, { username, password: 'wrong', action: 'login' });
    expect(again.status).toBe(422);
    expect(again.html).toContain('The user name or password is not right.');
    const empty = await agent.submit(again, { username: '', password: '', action: 'login' });
    expect(empty.html).toContain('Enter your user name');
    const cancelled = await agent.submit(page, { action: 'cancel' });
    expect(cancelled.status).toBe(400);
    let status = 422;
    for (let tries = 0; tries < 12 && status === 422; tries += 1) {
      ({ status } = await agent.submit(page, { username, password: 'wrong', action: 'login' }));
    }
    expect(status).toBe(429);
    await rows(server, 'DELETE FROM login_throttles');
  });

  it('is left by signing out, which ends the session everywhere', async () => {
    const { first } = await customerAt(safari);
    const question = await open('/logout', first);
    await first.submit(question, { logout: 'yes' });
    expect([await isSignedIn(first), await isSignedIn(first, beside)]).toEqual([isOut, isOut]);
  });

  it('is not offered over the mTLS host', async () => {
    const answer = await send(server.fetch(), server.mtlsOrigin + login());
    expect(answer.status).toBe(404);
  });
});

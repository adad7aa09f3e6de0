import { CookieJar } from 'tough-cookie';
import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer();
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

async function request(more: Record<string, string> = {}): Promise<string> {
  return (await authorizationRequest(web, { ...forWeb, ...more })).url;
}

async function sessionIn(jar: CookieJar): Promise<string | undefined> {
  const cookies = await jar.getCookies(server.issuer);
  return cookies.find(({ key }) => key === '__Host-session')?.value;
}

/** Whether this browser gets a code without anybody logging in. */
async function isSignedIn(agent: CustomerAgent): Promise<boolean> {
  const page = await agent.open(await request({ prompt: 'none' }));
  return new URL(page.url).searchParams.get('error') !== 'login_required';
}

describe('A session that an attacker began', () => {
  it('is another one after the customer logged in, and the attacker is not signed in', async () => {
    const attacker = createCustomerAgent(server);
    await attacker.open(await request());
    const planted = await attacker.jar.clone();
    const before = await sessionIn(planted);
    const victim = createCustomerAgent(server, planted);
    await victim.authorize(await request());
    expect(await sessionIn(victim.jar)).not.toBe(before);
    expect(await isSignedIn(victim)).toBe(true);
    expect(await isSignedIn(attacker)).toBe(false);
  });

  it('and whose login the customer finished does not answer to the attacker', async () => {
    const attacker = createCustomerAgent(server);
    const login = await attacker.open(await request());
    const victim = createCustomerAgent(server, await attacker.jar.clone());
    const { username, password } = server.customer;
    const consent = await victim.submit(login, { username, password, action: 'login' });
    expect(consent.html).toContain('value="allow"');
    const attack = async () => {
      // The same steps again, with the cookies from before the login.
      for (const url of [login.url, consent.url]) {
        const page = await attacker.open(url);
        expect(page.html).not.toContain('value="allow"');
        expect(page.url).not.toContain('code=');
      }
      const uid = new URL(login.url).pathname.split('/').at(-1) ?? '';
      const resumed = await attacker.open(`${server.issuer}/authorize/${uid}`);
      expect(resumed.url).not.toContain('code=');
      expect(resumed.html).not.toContain('value="allow"');
    };
    expect(await issuedBy(server, attack)).toBe(0);
    expect(await isSignedIn(attacker)).toBe(false);
  });

  it('by a link to their own login page is not taken up in the customer’s browser', async () => {
    const attacker = createCustomerAgent(server);
    const login = await attacker.open(await request());
    const page = await createCustomerAgent(server).open(login.url);
    expect(page.status).toBe(400);
    expect(page.html).not.toContain('name="password"');
  });
});

describe('A made-up session', () => {
  it.each(['x', 'a'.repeat(43), '../x', '%00', '{"accountId":"1"}', 'null', '__proto__'])(
    'named %j is not taken over',
    async (value) => {
      const jar = new CookieJar();
      for (const name of ['__Host-session', '__Host-session.sig', '__Host-session.legacy']) {
        await jar.setCookie(`${name}=${value}; Path=/; Secure`, server.issuer);
      }
      const agent = createCustomerAgent(server, jar);
      expect(await isSignedIn(agent)).toBe(false);
      await agent.authorize(await request());
      expect(await sessionIn(jar)).not.toBe(value);
    },
  );

  it('with the signature of another one is not taken over', async () => {
    const [mine, theirs] = [createCustomerAgent(server), createCustomerAgent(server)];
    for (const agent of [mine, theirs]) await agent.authorize(await request());
    const cookies = await mine.jar.getCookies(server.issuer);
    const signature = cookies.find(({ key }) => key === '__Host-session.sig')?.value ?? '';
    const jar = new CookieJar();
    const stolen = (await sessionIn(theirs.jar)) ?? '';
    await jar.setCookie(`__Host-session=${stolen}; Path=/; Secure`, server.issuer);
    await jar.setCookie(`__Host-session.sig=${signature}; Path=/; Secure`, server.issuer);
    expect(await isSignedIn(createCustomerAgent(server, jar))).toBe(false);
    expect(await isSignedIn(theirs)).toBe(true);
  });
});

describe('A session that ended', () => {
  it('is gone on the server, not in the browser only', async () => {
    const agent = createCustomerAgent(server);
    await agent.authorize(await request());
    const kept = createCustomerAgent(server, await agent.jar.clone());
    const page = await agent.open(`${server.issuer}/logout`);
    await agent.submit(page, { logout: 'yes' });
    expect(await isSignedIn(kept)).toBe(false);
  });

  it('by a new login does not live on under its old name', async () => {
    const agent = createCustomerAgent(server);
    await agent.authorize(await request());
    const old = await agent.jar.clone();
    await agent.authorize(await request({ prompt: 'login' }));
    expect(await sessionIn(agent.jar)).not.toBe(await sessionIn(old));
    expect(await isSignedIn(createCustomerAgent(server, old))).toBe(false);
  });
});

import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Visit } from '../support/browsing.ts';
import {
  choice,
  expectSoundPage,
  heading,
  press,
  reachConsent,
  signIn,
  startHostedPages,
} from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';
import { stored } from '../support/stored.ts';

let hosted: HostedPages;

beforeAll(async () => {
  hosted = await startHostedPages();
});

afterAll(async () => {
  await hosted.close();
});

afterEach(() => {
  vi.useRealTimers();
});

async function codes(): Promise<number> {
  const rows = await stored(
    hosted.server,
    "SELECT 1 FROM artifacts WHERE kind = 'AuthorizationCode'",
  );
  return rows.length;
}

async function expectEnded(visit: Visit): Promise<void> {
  expect(await heading(visit.page)).toBe('This sign-in has ended');
  await expectSoundPage(visit);
}

describe('The back button after the consent', () => {
  it('shows that it is over, claims nothing false, and gives no second code', async () => {
    const visit = await hosted.visit();
    const request = await hosted.request();
    await reachConsent(visit, request, await hosted.newCustomer());
    await choice(visit.page, 'decision', 'allow').click();
    await hosted.arrivalOf(visit, request);
    const before = await codes();
    await visit.page.goBack();
    await expectEnded(visit);
    const text = await visit.page.locator('main').innerText();
    expect(text).toContain('your answer stands');
    expect(text).not.toContain('no app has been given access');
    expect(await codes()).toBe(before);
    expect(hosted.arrivalsOf(request)).toHaveLength(1);
  });

  it('from the consent to the login does not ask for the password again', async () => {
    const visit = await hosted.visit();
    await reachConsent(visit, await hosted.request(), await hosted.newCustomer());
    await visit.page.goBack();
    await expectEnded(visit);
    await visit.page.goForward();
    expect(await heading(visit.page)).toBe('Give Example Web access?');
  });
});

describe('An answer that was given, but whose redirect got lost,', () => {
  /** Lets the server have the next form, and keeps its answer from the browser, as a second click does. */
  async function loseNextAnswer({ page }: Visit): Promise<void> {
    await page.route(
      '**/interaction/*/*',
      async (route) => {
        await route.fetch({ maxRedirects: 0 });
        await route.abort('aborted');
      },
      { times: 1 },
    );
  }

  async function lose(visit: Visit, name: string, value: string): Promise<void> {
    await loseNextAnswer(visit);
    const lost = visit.page.waitForEvent('requestfailed');
    await choice(visit.page, name, value).click({ noWaitAfter: true });
    await lost;
  }

  // The tunnel of a routed request knows nothing of the key that Chromium trusts.
  const withoutScript = { javaScriptEnabled: false, ignoreHTTPSErrors: true };

  it('stands when the button is pressed again', async () => {
    const visit = await hosted.visit(withoutScript);
    const request = await hosted.request();
    await reachConsent(visit, request, await hosted.newCustomer());
    await lose(visit, 'decision', 'allow');
    const before = await codes();
    await choice(visit.page, 'decision', 'deny').click();
    const { url } = await hosted.arrivalOf(visit, request);
    const tokens = await openid.authorizationCodeGrant(hosted.web, url, request.checks);
    expect(tokens.access_token).not.toBe('');
    expect(await codes()).toBe(before + 1);
  });

  it('stands when the page is loaded again', async () => {
    const visit = await hosted.visit({ ignoreHTTPSErrors: true });
    const request = await hosted.request();
    await reachConsent(visit, request, await hosted.newCustomer());
    await lose(visit, 'decision', 'deny');
    await visit.page.reload();
    const { parameters } = await hosted.arrivalOf(visit, request);
    expect(parameters.get('error')).toBe('access_denied');
  });

  it('counts for the login, too', async () => {
    const visit = await hosted.visit(withoutScript);
    const { username, password } = await hosted.newCustomer();
    await visit.page.goto((await hosted.request()).url);
    await visit.page.locator('#username').fill(username);
    await visit.page.locator('#password').fill(password);
    await lose(visit, 'action', 'login');
    await press(visit.page, 'action', 'login');
    expect(await heading(visit.page)).toBe('Give Example Web access?');
  });
});

describe('A sign-in', () => {
  it('that took too long has ended, and the app is not blamed', async () => {
    const visit = await hosted.visit();
    const customer = await hosted.newCustomer();
    await visit.page.goto((await hosted.request()).url);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 916_000 }); // and oidc-provider's tolerance
    const answer = await signIn(visit.page, customer);
    expect(answer.status()).toBe(400);
    await expectEnded(visit);
  });

  it('can’t be taken over into another browser', async () => {
    const [own, other] = [await hosted.visit(), await hosted.visit()];
    await own.page.goto((await hosted.request()).url);
    const answer = await other.page.goto(own.page.url());
    expect(answer?.status()).toBe(400);
    await expectEnded(other);
  });

  it('that is finished in one tab has ended in the other', async () => {
    const visit = await hosted.visit();
    const customer = await hosted.newCustomer();
    const request = await hosted.request();
    await visit.page.goto(request.url);
    const second = { ...visit, page: await visit.context.newPage() };
    await second.page.goto(visit.page.url());
    await signIn(visit.page, customer);
    await signIn(second.page, customer);
    await expectEnded(second);
    await choice(visit.page, 'decision', 'allow').click();
    expect((await hosted.arrivalOf(visit, request)).parameters.has('code')).toBe(true);
  });

  it('does not disturb another one in the same browser', async () => {
    const visit = await hosted.visit();
    const customer = await hosted.newCustomer();
    const second = { ...visit, page: await visit.context.newPage() };
    const requests = [await hosted.request(), await hosted.request()] as const;
    await visit.page.goto(requests[0].url);
    await second.page.goto(requests[1].url);
    await signIn(visit.page, customer);
    await signIn(second.page, customer);
    for (const [i, tab] of [second, visit].entries()) {
      await choice(tab.page, 'decision', 'allow').click();
      const request = requests[i === 0 ? 1 : 0];
      expect((await hosted.arrivalOf(tab, request)).parameters.has('code')).toBe(true);
    }
  });

  it('is asked for once: the next one goes straight through', async () => {
    const visit = await hosted.visit();
    const [first, next] = [await hosted.request(), await hosted.request()];
    await reachConsent(visit, first, await hosted.newCustomer());
    await choice(visit.page, 'decision', 'allow').click();
    await hosted.arrivalOf(visit, first);
    await visit.page.goto(next.url);
    expect((await hosted.arrivalOf(visit, next)).parameters.has('code')).toBe(true);
  });
});

describe('A form', () => {
  it('that was not sent from our page is not accepted', async () => {
    const visit = await hosted.visit();
    const customer = await hosted.newCustomer();
    await visit.page.goto((await hosted.request()).url);
    await visit.page.evaluate("document.querySelector('[name=csrf]').value = 'AAAA'");
    const answer = await signIn(visit.page, customer);
    expect(answer.status()).toBe(403);
    expect(await heading(visit.page)).toBe('This page is too old');
    await expectSoundPage(visit);
    await visit.page.goBack();
    await signIn(visit.page, customer);
    expect(await heading(visit.page)).toBe('Give Example Web access?');
  });
});

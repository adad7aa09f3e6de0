import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Visit } from '../support/browsing.ts';
import {
  choice,
  expectSoundPage,
  reachConsent,
  signIn,
  startHostedPages,
  styleOf,
} from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';
import { startAuthorizationServer } from '../support/server.ts';

let hosted: HostedPages;

beforeAll(async () => {
  hosted = await startHostedPages();
});

afterAll(async () => {
  await hosted.close();
});

/** From the login over a mistake to the app. */
async function goAllTheWay(visit: Visit): Promise<void> {
  const request = await hosted.request();
  const customer = await hosted.newCustomer();
  await visit.page.goto(request.url);
  await signIn(visit.page, { ...customer, password: 'not the right password' });
  await visit.page.getByRole('link', { name: 'Deutsch' }).click();
  await signIn(visit.page, customer);
  await choice(visit.page, 'decision', 'allow').click();
  await hosted.arrivalOf(visit, request);
}

function ours({ documents }: Visit) {
  return documents.filter((response) => response.url().startsWith(hosted.server.issuer));
}

describe('Every answer between the app and the app', () => {
  it('is not stored, not framed, and forbids what the pages don’t need', async () => {
    const visit = await hosted.visit();
    await goAllTheWay(visit);
    const answers = ours(visit);
    expect(answers.map((response) => response.status())).toEqual(
      expect.arrayContaining([200, 303, 422]),
    );
    for (const response of answers) {
      const headers = response.headers();
      expect(headers['cache-control']).toContain('no-store');
      expect(headers['x-frame-options']).toBe('DENY');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['referrer-policy']).toBe('no-referrer');
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|data:/);
      // HSTS for localhost would follow developers into their other projects.
      expect(headers['strict-transport-security']).toBeUndefined();
    }
    expect(visit.complaints).toEqual([]);
  });

  it('sets cookies that only this server gets, and no script', async () => {
    const visit = await hosted.visit();
    await goAllTheWay(visit);
    const set = [];
    for (const response of ours(visit)) {
      const headers = await response.headersArray();
      set.push(...headers.filter(({ name }) => name.toLowerCase() === 'set-cookie'));
    }
    const names = new Set(set.map(({ value }) => value.split('=')[0] ?? ''));
    expect([...names].filter((name) => !name.endsWith('.sig')).sort()).toEqual([
      '__Host-device',
      '__Host-language',
      '__Host-session',
      '__Secure-interaction',
      '__Secure-resume',
    ]);
    for (const { value } of set) {
      expect(value).toMatch(/; secure/i);
      expect(value).toMatch(/; httponly/i);
      expect(value).toMatch(/; samesite=lax/i);
      expect(value).not.toMatch(/; domain=/i);
    }
    const kept = await visit.context.cookies();
    const session = kept.find(({ name }) => name === '__Host-session');
    expect(session).toMatchObject({ path: '/', secure: true, httpOnly: true, sameSite: 'Lax' });
    expect(await visit.page.evaluate<string>('document.cookie')).toBe('');
  });

  it('gives the session a new name at the login', async () => {
    const visit = await hosted.visit();
    const sessionOf = async () =>
      (await visit.context.cookies()).find(({ name }) => name === '__Host-session')?.value;
    await goAllTheWay(visit);
    const before = await sessionOf();
    await visit.page.goto((await hosted.request({ prompt: 'login' })).url);
    await signIn(visit.page, await hosted.newCustomer());
    expect(before).toBeDefined();
    expect(await sessionOf()).not.toBe(before);
  });
});

describe('In production', () => {
  it('browsers are told to come by https only', async () => {
    const server = await startAuthorizationServer({
      environment: { COUNTERSIGN_ENV: 'production' },
    });
    try {
      for (const path of ['/authorize', '/nowhere', '/assets/countersign.css']) {
        const { headers } = await server.fetch()(server.issuer + path);
        expect(headers.get('strict-transport-security')).toBe(
          'max-age=63072000; includeSubDomains',
        );
      }
    } finally {
      await server.stop();
    }
  });
});

describe('With text twice as large', () => {
  const sizes = [
    { width: 360, height: 740 },
    { width: 1280, height: 800 },
  ];

  async function enlargeText({ context, page }: Visit): Promise<void> {
    const session = await context.newCDPSession(page);
    await session.send('Page.setFontSizes', { fontSizes: { standard: 32, fixed: 26 } });
  }

  /** Everything is within the page's width, and nothing is cut off. */
  async function expectAllInSight({ page }: Visit): Promise<void> {
    const cut = await page.evaluate<string[]>(`
      [...document.querySelectorAll('html, main, main *')]
        .filter((element) => {
          const { left, right } = element.getBoundingClientRect();
          const { clientWidth, scrollWidth } = document.documentElement;
          return left < 0 || Math.floor(right) > clientWidth || scrollWidth > clientWidth;
        })
        .map((element) => element.outerHTML)`);
    expect(cut).toEqual([]);
    const size = await styleOf(page, 'label, .muted', 'font-size');
    expect(parseFloat(size)).toBeGreaterThanOrEqual(30);
  }

  it.each(sizes)('the pages are used at a width of $width', async (viewport) => {
    const visit = await hosted.visit({ viewport });
    await enlargeText(visit);
    const request = await hosted.request();
    const customer = await hosted.newCustomer();
    await visit.page.goto(request.url);
    await signIn(visit.page, { ...customer, password: 'not the right password' });
    await expectAllInSight(visit);
    await expectSoundPage(visit);
    await signIn(visit.page, customer);
    await expectAllInSight(visit);
    await expectSoundPage(visit);
    await choice(visit.page, 'decision', 'allow').click();
    await hosted.arrivalOf(visit, request);
  });
});

describe('In the dark', () => {
  it('the consent meets WCAG 2.2 AA', async () => {
    const visit = await hosted.visit({ colorScheme: 'dark' });
    await reachConsent(visit, await hosted.request(), await hosted.newCustomer());
    await expectSoundPage(visit);
  });
});

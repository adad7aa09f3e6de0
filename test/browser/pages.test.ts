import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../support/browser.ts';
import { accessibilityProblems } from '../support/browsing.ts';
import { pageFixtures, type PageFixture } from '../support/page-fixtures.ts';
import {
  clippedParts,
  focusedText,
  focusOutline,
  sendNothing,
  setTextSize,
  smallTargets,
  tryToSend,
  weights,
} from '../support/page-measures.ts';
import { startPageSite, type PageSite } from '../support/page-site.ts';

let browser: Browser;
let site: PageSite;
/** Another origin, where forms end. */
let app: PageSite;

beforeAll(async () => {
  [browser, app] = await Promise.all([launchBrowser(), startPageSite()]);
  site = await startPageSite({ callbackOrigin: app.origin });
});

afterAll(async () => {
  await browser.close();
  await site.close();
  await app.close();
});

/** Runs `use` on a fresh page; whatever the console complains of fails the test. */
async function onPage(options: BrowserContextOptions, use: (page: Page) => Promise<void>) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  context.on('console', (message) => {
    if (['warning', 'error'].includes(message.type())) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(error.error().message));
  try {
    await use(await context.newPage());
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
  }
}

function addressOf(name: string, parameters: Record<string, string> = {}): string {
  return `${site.origin}/${name}?${new URLSearchParams(parameters).toString()}`;
}

// Without script it stays where it is; with it, it is gone before anything could be measured.
const lasting = pageFixtures.filter(({ page }) => page !== 'carry-on');
// Error pages differ in their words only.
const distinct = lasting.filter(({ name }) => !/^error-(?!something_new|back)/.test(name));
const namesOf = (fixtures: PageFixture[]) => fixtures.map(({ name }) => name);

describe.each([
  { language: 'en', colorScheme: 'light', names: namesOf(distinct) },
  {
    language: 'de',
    colorScheme: 'dark',
    names: ['login-missing', 'consent', 'logout', 'logged-out', 'error-back', 'development'],
  },
  { language: 'ar', colorScheme: 'dark', names: ['login-missing', 'consent'] },
] as const)('In $language and $colorScheme', ({ language, colorScheme, names }) => {
  it.each(names)('%s is accessible', async (name) => {
    await onPage({ colorScheme, viewport: { width: 768, height: 900 } }, async (page) => {
      await page.goto(addressOf(name, { ui_locales: language }));
      expect(await page.locator('html').getAttribute('lang')).toBe(language);
      expect(await accessibilityProblems(page)).toEqual([]);
    });
  });
});

describe('Without what our script adds', () => {
  // Not by switching script off, because axe is one.
  it.each(['login-missing', 'consent', 'logout', 'carry-on', 'error-back', 'development'])(
    '%s is accessible and shows no button that does nothing',
    async (name) => {
      await onPage({}, async (page) => {
        const empty = { contentType: 'text/javascript', body: '' };
        await page.route('**/assets/pages.js', (route) => route.fulfill(empty));
        await page.goto(addressOf(name));
        expect(await accessibilityProblems(page)).toEqual([]);
        const dead = page.locator('button[type="button"]').filter({ visible: true });
        expect(await dead.count()).toBe(0);
      });
    },
  );
});

describe.each([
  { width: 320, textSize: 200 },
  { width: 320, textSize: 100 },
  { width: 360, textSize: 100 },
  { width: 1280, textSize: 200 },
])('At $width px with text of $textSize %', ({ width, textSize }) => {
  it.each(['de', 'ar'])('every page in %s fits, and its targets are large', async (language) => {
    await onPage({ viewport: { width, height: 700 } }, async (page) => {
      for (const { name } of lasting) {
        await page.goto(addressOf(name, { ui_locales: language, bank: 'long' }));
        await setTextSize(page, textSize);
        const [clipped, small] = [await clippedParts(page), await smallTargets(page)];
        expect.soft({ name, clipped, small }).toEqual({ name, clipped: [], small: [] });
      }
    });
  });
});

describe('The login page', () => {
  it('is worked by keyboard alone, in the order that is seen', async () => {
    await onPage({}, async (page) => {
      await page.goto(addressOf('login'));
      const stops: string[] = [];
      await page.keyboard.press('Tab');
      await page.keyboard.type('anna');
      for (let stop = 0; stop < 6; stop += 1) {
        stops.push(await focusedText(page));
        await page.keyboard.press('Tab');
      }
      expect(stops).toEqual([
        '',
        '',
        'Show',
        'Forgotten your password?',
        'Sign in',
        'Cancel and go back to Example Money',
      ]);
      await page.locator('#password').focus();
      await page.keyboard.type('correct horse');
      await page.keyboard.press('Enter');
      await page.waitForURL(`${app.origin}/**`);
      expect(site.submissions.at(-1)?.fields).toMatchObject({
        username: 'anna',
        password: 'correct horse',
        action: 'login',
      });
    });
  });

  it.each([true, false])('is sent and cancelled with script %s', async (javaScriptEnabled) => {
    await onPage({ javaScriptEnabled }, async (page) => {
      for (const action of ['login', 'cancel']) {
        await page.goto(addressOf('login-failed'));
        await page.locator(`button[name="action"][value="${action}"]`).click();
        await page.waitForURL(`${app.origin}/**`);
        expect(site.submissions.at(-1)?.fields['action']).toBe(action);
      }
    });
  });

  it.each([true, false])('puts the focus on what went wrong with script %s', async (script) => {
    await onPage({ javaScriptEnabled: script }, async (page) => {
      await page.goto(addressOf('login-missing'));
      await expect.poll(() => page.locator('.problems:focus').count()).toBe(1);
      await page.getByRole('link', { name: 'Enter your password' }).click();
      await expect.poll(() => page.locator('#password:focus').count()).toBe(1);
    });
  });

  it('shows the password on demand and hides it before it is sent', async () => {
    await onPage({}, async (page) => {
      await page.goto(addressOf('login'));
      const password = page.locator('#password');
      await password.fill('correct horse');
      await page.getByRole('button', { name: 'Show password' }).click();
      expect(await password.getAttribute('type')).toBe('text');
      await page.getByRole('button', { name: 'Hide password' }).click();
      expect(await password.getAttribute('type')).toBe('password');
      await page.getByRole('button', { name: 'Show password' }).click();
      await sendNothing(page);
      await page.getByRole('button', { name: 'Sign in' }).click();
      expect(await password.getAttribute('type')).toBe('password');
    });
  });

  it('has a focus that can be seen on every stop, also in forced colours', async () => {
    for (const forcedColors of ['none', 'active'] as const) {
      await onPage({ forcedColors }, async (page) => {
        await page.goto(addressOf('login'));
        const outlines: string[] = [];
        for (let stop = 0; stop < 7; stop += 1) {
          await page.keyboard.press('Tab');
          outlines.push(await focusOutline(page));
        }
        expect(outlines).toEqual(outlines.map(() => 'solid 3px'));
      });
    }
  });
});

describe('The consent page', () => {
  it.each(['allow', 'deny', 'switch'])('sends the decision %s without script', async (decision) => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(addressOf('consent'));
      await page.locator(`button[name="decision"][value="${decision}"]`).click();
      await page.waitForURL(`${app.origin}/**`);
      expect(site.submissions.at(-1)?.fields['decision']).toBe(decision);
    });
  });

  it.each([320, 360, 768])('gives both answers the same weight at %d px', async (width) => {
    await onPage({ viewport: { width, height: 800 } }, async (page) => {
      await page.goto(addressOf('consent', { ui_locales: 'de' }));
      const [allow, deny, ...others] = await weights(page, '.actions-equal .button');
      expect(others).toEqual([]);
      expect(allow).toBe(deny);
      expect(allow).toContain('backgroundColor');
    });
  });

  it('sends a form once, until the customer comes back to it', async () => {
    await onPage({}, async (page) => {
      await page.goto(addressOf('consent'));
      expect([await tryToSend(page), await tryToSend(page)]).toEqual([true, false]);
      await page.evaluate(
        "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
      );
      expect([await tryToSend(page), await tryToSend(page)]).toEqual([true, false]);
    });
  });
});

describe('The logout page', () => {
  it.each([
    ['Sign out', 'yes'],
    ['Stay signed in', undefined],
  ])('completes the form of the library without script: %s', async (button, logout) => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(addressOf('logout'));
      await page.getByRole('button', { name: button }).click();
      await page.waitForURL(`${app.origin}/**`);
      const fields = site.submissions.at(-1)?.fields;
      expect([fields?.['xsrf'], fields?.['logout']]).toEqual(['0123456789abcdef', logout]);
    });
  });
});

describe('The page that goes on by itself', () => {
  it.each([true, false])('reaches the client with script %s', async (javaScriptEnabled) => {
    await onPage({ javaScriptEnabled }, async (page) => {
      await page.route('https://money.example/**', (route) => route.fulfill({ body: 'arrived' }));
      const sent = page.waitForRequest('https://money.example/callback');
      await page.goto(addressOf('carry-on', { form_action: 'https://money.example' }), {
        waitUntil: 'commit',
      });
      if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click();
      expect((await sent).postData()).toBe('code=Vq3Zc1mY5x0R7nK2eJ8wL4tB6uS9dHpG');
    });
  });
});

describe('The foot', () => {
  it('leads to the same page in another language', async () => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(addressOf('login'));
      await page.getByRole('link', { name: 'Deutsch' }).click();
      await page.waitForURL('**/login?ui_locales=de');
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(
        'Bei Example Bank anmelden',
      );
    });
  });
});

describe('The policy', () => {
  it('keeps a form from ending at an origin that the page did not name', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const complaint = page.waitForEvent('console', (message) =>
      message.text().includes('form-action'),
    );
    // This site names no origin, but its forms are answered by a redirect to one.
    const strict = await startPageSite({ callbackOrigin: app.origin, namesCallback: false });
    await page.goto(`${strict.origin}/login`);
    await page.getByRole('button', { name: 'Sign in' }).click({ noWaitAfter: true });
    await complaint;
    expect(page.url()).toBe(`${strict.origin}/login`);
    await context.close();
    await strict.close();
  });
});

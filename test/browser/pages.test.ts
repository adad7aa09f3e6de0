import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import { accessibilityProblems } from '../support/browsing.ts';
import { pageFixtures } from '../support/page-fixtures.ts';
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

/** By how many pixels the page is wider than its window. */
function overflow(page: Page): Promise<number> {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
}

/** Texts of elements that stick out of the card sideways, which a hidden overflow would not show. */
function protruding(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const card = document.querySelector('.card')?.getBoundingClientRect();
    return [...document.querySelectorAll('.card *')]
      .filter((element) => {
        const { left, right } = element.getBoundingClientRect();
        return card !== undefined && (left < card.left - 0.5 || right > card.right + 0.5);
      })
      .map((element) => element.outerHTML.slice(0, 80));
  });
}

/** Controls that are too small for a finger; links within a sentence may be (WCAG 2.2, 2.5.8). */
function smallTargets(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('button, input:not([type="hidden"]), .button, .foot-link')]
      .filter((element) => {
        const { height, width } = element.getBoundingClientRect();
        return height > 0 && (height < 44 || width < 44);
      })
      .map((element) => element.outerHTML.slice(0, 80)),
  );
}

// The page goes on by itself before anything could be measured; without script it stays.
const stays = pageFixtures.filter(({ page }) => page !== 'carry-on');
const looks = [
  { language: 'en', colorScheme: 'light' },
  { language: 'de', colorScheme: 'dark' },
  { language: 'ar', colorScheme: 'light' },
] as const;

describe.each(looks)('In $language and $colorScheme', ({ language, colorScheme }) => {
  it.each(stays)('$name is accessible', async ({ name }) => {
    await onPage({ colorScheme, viewport: { width: 768, height: 900 } }, async (page) => {
      await page.goto(addressOf(name, { ui_locales: language }));
      expect(await page.locator('html').getAttribute('lang')).toBe(language);
      expect(await accessibilityProblems(page)).toEqual([]);
    });
  });
});

describe('Without script', () => {
  it.each(pageFixtures)('$name is accessible and shows nothing that needs it', async ({ name }) => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(addressOf(name));
      expect(await accessibilityProblems(page)).toEqual([]);
      const dead = page.locator('button[type="button"]').filter({ visible: true });
      expect(await dead.count()).toBe(0);
    });
  });
});

describe.each([
  { width: 320, fontSize: '200%' },
  { width: 320, fontSize: '100%' },
  { width: 360, fontSize: '100%' },
  { width: 1280, fontSize: '200%' },
])('At $width px with text of $fontSize', ({ width, fontSize }) => {
  it('no page scrolls sideways, nothing sticks out, and every target is large enough', async () => {
    const found: unknown[] = [];
    await onPage({ viewport: { width, height: 700 } }, async (page) => {
      for (const { name } of stays) {
        for (const language of ['de', 'ar']) {
          await page.goto(addressOf(name, { ui_locales: language, bank: 'long' }));
          await page.evaluate((size) => {
            document.documentElement.style.fontSize = size;
          }, fontSize);
          const result = [await overflow(page), await protruding(page), await smallTargets(page)];
          if (JSON.stringify(result) !== '[0,[],[]]') found.push([name, language, ...result]);
        }
      }
    });
    expect(found).toEqual([]);
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
        stops.push(await page.evaluate(() => document.activeElement?.textContent?.trim() ?? ''));
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
      await page.locator('.problems:focus').waitFor();
      await page.getByRole('link', { name: 'Enter your password' }).click();
      await page.locator('#password:focus').waitFor();
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
      await page.evaluate(() => {
        document.forms[0]?.addEventListener('submit', (event) => {
          event.preventDefault();
        });
      });
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
          outlines.push(
            await page.evaluate(() => {
              const style = getComputedStyle(document.activeElement ?? document.body);
              return `${style.outlineStyle} ${style.outlineWidth}`;
            }),
          );
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
      const weights = await page.locator('.actions-equal .button').evaluateAll((buttons) =>
        buttons.map((button) => {
          const { width, height } = button.getBoundingClientRect();
          const { backgroundColor, color, fontSize, fontWeight } = getComputedStyle(button);
          return { width, height, backgroundColor, color, fontSize, fontWeight };
        }),
      );
      expect(weights).toHaveLength(2);
      expect(weights[0]).toEqual(weights[1]);
    });
  });

  it('sends a form once, however often the button is pressed', async () => {
    await onPage({}, async (page) => {
      await page.goto(addressOf('consent'));
      const before = site.submissions.length;
      await page.locator('button[value="allow"]').dblclick();
      await page.waitForURL(`${app.origin}/**`);
      expect(site.submissions.length - before).toBe(1);
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
      const { fields } = site.submissions.at(-1) ?? expect.unreachable();
      expect([fields['xsrf'], fields['logout']]).toEqual(['0123456789abcdef', logout]);
    });
  });
});

describe('The foot', () => {
  it('leads to the same page in another language', async () => {
    await onPage({ javaScriptEnabled: false }, async (page) => {
      await page.goto(addressOf('login'));
      await page.getByRole('link', { name: 'Deutsch' }).click();
      await page.getByRole('heading', { name: 'Bei Example Bank anmelden' }).waitFor();
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

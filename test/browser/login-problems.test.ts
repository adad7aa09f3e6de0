import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Visit } from '../support/browsing.ts';
import {
  choice,
  expectSoundPage,
  heading,
  press,
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

// All of them come from one address, which has twenty mistakes in a quarter of an hour.
beforeEach(async () => {
  await stored(hosted.server, 'DELETE FROM login_throttles');
  await stored(hosted.server, 'DELETE FROM login_patterns');
});

const browsers = [
  { name: 'with script', options: {} },
  { name: 'without script', options: { javaScriptEnabled: false } },
];
const wrong = 'not the right password';

async function openLogin(options = {}): Promise<Visit> {
  const visit = await hosted.visit(options);
  await visit.page.goto((await hosted.request()).url);
  return visit;
}

function summaryOf({ page }: Visit) {
  return page.locator('.problems');
}

/** How many password hashes were computed so far. */
async function hashes(): Promise<number> {
  const answer = await fetch(`${hosted.server.operationsOrigin}/metrics`);
  const count = /^countersign_password_hash_seconds_count (\d+)$/m.exec(await answer.text())?.[1];
  return Number(count ?? expect.unreachable());
}

describe.each(browsers)('A wrong password $name', ({ options }) => {
  it('is told in a summary that has the focus; the user name is kept, the password is not', async () => {
    const visit = await openLogin(options);
    const { page } = visit;
    const { username } = await hosted.newCustomer();
    const answer = await signIn(page, { username, password: wrong });
    expect(answer.status()).toBe(422);
    expect(await page.title()).toMatch(/^Error: /);
    await page.locator('.problems:focus').waitFor();
    expect(await summaryOf(visit).innerText()).toContain('The user name or password is not right.');
    expect(await page.locator('#username').inputValue()).toBe(username);
    expect(await page.locator('#password').inputValue()).toBe('');
    expect(await answer.text()).not.toContain(wrong);
    expect(visit.complaints).toEqual([]);
  });

  it('and none at all are marked at the field, with a link to it', async () => {
    const visit = await openLogin(options);
    const { page } = visit;
    const answer = await press(page, 'action', 'login');
    expect(answer.status()).toBe(422);
    for (const [field, text] of [
      ['username', 'Enter your user name'],
      ['password', 'Enter your password'],
    ] as const) {
      const input = page.locator(`#${field}`);
      expect(await input.getAttribute('aria-invalid')).toBe('true');
      const described = await input.getAttribute('aria-describedby');
      expect(await page.locator(`#${described ?? ''}`).innerText()).toBe(text);
      await summaryOf(visit).getByRole('link', { name: text }).click();
      expect(await page.locator(':focus').getAttribute('id')).toBe(field);
    }
    expect(visit.complaints).toEqual([]);
  });
});

describe('After a wrong password', () => {
  it('the right one goes on to the consent', async () => {
    const { page } = await openLogin();
    const customer = await hosted.newCustomer();
    await signIn(page, { ...customer, password: wrong });
    expect((await signIn(page, customer)).status()).toBe(200);
    expect(await heading(page)).toBe('Give Example Web access?');
  });

  it('the address in the bar leads to the login again', async () => {
    const { page } = await openLogin();
    const { username } = await hosted.newCustomer();
    await signIn(page, { username, password: wrong });
    const again = await page.goto(page.url());
    expect(again?.status()).toBe(200);
    expect(await heading(page)).toBe('Sign in to Countersign Bank');
  });

  it.each(['light', 'dark'] as const)('the page meets WCAG 2.2 AA, %s', async (colorScheme) => {
    const visit = await openLogin({ colorScheme });
    const { username } = await hosted.newCustomer();
    await signIn(visit.page, { username, password: wrong });
    await expectSoundPage(visit);
    await visit.page.locator('#username').fill('');
    await press(visit.page, 'action', 'login');
    await expectSoundPage(visit);
  });
});

describe('An unknown user name', () => {
  it('gets the answer of a wrong password, to the letter and after the same work', async () => {
    const { username } = await hosted.newCustomer();
    const unknown = username.replace('customer', 'stranger');
    const answers = [];
    for (const name of [username, unknown]) {
      const { page } = await openLogin();
      const before = await hashes();
      const answer = await signIn(page, { username: name, password: wrong });
      const work = (await hashes()) - before;
      const uid = new URL(page.url()).pathname.split('/')[2] ?? '';
      const html = (await answer.text())
        .replace(/name="csrf" value="[\w-]+"/, '')
        .replaceAll(name, 'NAME')
        .replaceAll(uid, 'UID');
      answers.push({ status: answer.status(), html, work });
    }
    expect(answers[0]?.work).toBe(1);
    expect(answers[1]).toEqual(answers[0]);
  });

  it('is slowed down like a known one, in words that agree with Retry-After', async () => {
    const customer = await hosted.newCustomer();
    const unknown = customer.username.replace('customer', 'stranger');
    for (const username of [customer.username, unknown]) {
      const visit = await openLogin();
      let answer = await signIn(visit.page, { username, password: wrong });
      for (let tries = 1; tries < 8 && answer.status() === 422; tries += 1) {
        answer = await signIn(visit.page, { username, password: wrong });
      }
      expect(answer.status()).toBe(429);
      const seconds = answer.headers()['retry-after'] ?? '';
      expect(Number(seconds)).toBeGreaterThan(0);
      const unit = seconds === '1' ? 'second' : 'seconds';
      expect(await summaryOf(visit).innerText()).toContain(`wait ${seconds} ${unit} and`);
      expect(await visit.page.locator('#username').inputValue()).toBe(username);
      await expectSoundPage(visit);
      // The way back to the app stays open.
      expect(await choice(visit.page, 'action', 'cancel').isEnabled()).toBe(true);
    }
  });

  it('that is blocked costs no password hash', async () => {
    const { page } = await openLogin();
    const { username } = await hosted.newCustomer();
    let answer = await signIn(page, { username, password: wrong });
    while (answer.status() === 422) {
      const before = await hashes();
      answer = await signIn(page, { username, password: wrong });
      expect((await hashes()) - before).toBe(answer.status() === 422 ? 1 : 0);
    }
    expect(answer.status()).toBe(429);
  });
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { startScript } from './demo-process.ts';
import type { EmptyPlace } from './demo-process.ts';

/** Where the sample application sends its customer. */
const address = /^https:\/\/.*request_uri=\S+$/m;

/** Runs examples/tpp-app as `name` with a customer at a real browser; what it told, and where it sent the customer. */
export async function runSampleApplication(
  words: readonly string[],
  username: string,
  { place, browser }: { place: EmptyPlace; browser: Browser },
) {
  const running = startScript('examples/tpp-app/run.ts', place, words);
  await running.untilOutput(address);
  const url = address.exec(running.output())?.[0] ?? '';
  const secrets = readFileSync(path.join(place.keysDirectory, 'secrets.json'), 'utf8');
  const { customerPassword: password } = JSON.parse(secrets) as { customerPassword: string };
  const heading = await logIn(browser, url, { username, password });
  return { ...(await running.end()), heading, url: new URL(url) };
}

/** The customer logs in and allows; the heading of the page where that leads. */
async function logIn(
  browser: Browser,
  url: string,
  { username, password }: { username: string; password: string },
): Promise<string> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('input[name=username]').fill(username);
  await page.locator('input[name=password]').fill(password);
  await page.locator('button[name=action][value=login]').click();
  await page.locator('button[name=decision][value=allow]').click();
  await page.waitForURL('**/callback?**');
  const heading = await page.locator('h1').innerText();
  await context.close();
  return heading;
}

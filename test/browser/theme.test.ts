import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  expectSoundPage,
  heading,
  reachConsent,
  startHostedPages,
  styleOf,
} from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';
import { viewsDirectory } from '../support/page-site.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const help = 'https://help.example.com/sign-in';
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hosted: HostedPages;

beforeAll(async () => {
  directory = await temporaryDirectory();
  const logo = path.join(directory.path, 'logo.svg');
  await writeFile(
    logo,
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30"/></svg>',
  );
  hosted = await startHostedPages({
    environment: {
      COUNTERSIGN_BRAND_NAME: 'Sparkasse & Söhne <Bank>',
      COUNTERSIGN_BRAND_LOGO: logo,
      COUNTERSIGN_BRAND_THEME: path.join(viewsDirectory, 'assets', 'theme-example.css'),
      COUNTERSIGN_BRAND_HELP_URL: help,
    },
  });
});

afterAll(async () => {
  await hosted.close();
  await directory.remove();
});

const schemes = [
  { colorScheme: 'light', brand: 'rgb(0, 89, 79)' },
  { colorScheme: 'dark', brand: 'rgb(127, 216, 200)' },
] as const;

describe.each(schemes)('A bank’s own pages, $colorScheme', ({ colorScheme, brand }) => {
  it('show its name, logo, colours and help, and are sound', async () => {
    const visit = await hosted.visit({ colorScheme });
    const { page } = visit;
    await page.goto((await hosted.request()).url);
    expect(await heading(page)).toBe('Sign in to Sparkasse & Söhne <Bank>');
    expect(await page.title()).toContain('Sparkasse & Söhne <Bank>');
    expect(await page.locator('header').innerText()).toBe('Sparkasse & Söhne <Bank>');
    const logoWidth = "document.querySelector('header img').naturalWidth";
    expect(await page.evaluate<number>(logoWidth)).toBe(90);
    expect((await page.locator('header img').boundingBox())?.height).toBe(32);
    expect(await styleOf(page, 'button[value="login"]', 'background-color')).toBe(brand);
    for (const name of ['Help', 'Forgotten your password?']) {
      expect(await page.getByRole('link', { name }).getAttribute('href')).toBe(help);
    }
    await expectSoundPage(visit);
    await reachConsent(visit, await hosted.request(), await hosted.newCustomer());
    expect(await page.locator('header').innerText()).toBe('Sparkasse & Söhne <Bank>');
    await expectSoundPage(visit);
    await page.goto((await hosted.request({ client_id: 'nobody' })).url);
    expect(await page.getByRole('link', { name: 'Help' }).getAttribute('href')).toBe(help);
    await expectSoundPage(visit);
  });
});

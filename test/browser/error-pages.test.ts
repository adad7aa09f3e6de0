import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Visit } from '../support/browsing.ts';
import { expectSoundPage, heading, startHostedPages } from '../support/hosted-pages.ts';
import type { HostedPages } from '../support/hosted-pages.ts';

let hosted: HostedPages;

beforeAll(async () => {
  hosted = await startHostedPages();
});

afterAll(async () => {
  await hosted.close();
});

async function open(visit: Visit, url: string) {
  const response = await visit.page.goto(url);
  return response?.status();
}

describe('An authorization request', () => {
  it.each([
    ['of an unknown client', { client_id: 'nobody' }],
    ['with a redirect URI that is not registered', { redirect_uri: 'https://web.example.com/x' }],
    ['with the redirect URI of somebody else', { redirect_uri: 'https://evil.example.com/' }],
  ])('%s ends on a page that leads nowhere', async (_, change) => {
    const visit = await hosted.visit();
    const request = await hosted.request(change);
    expect(await open(visit, request.url)).toBe(400);
    expect(await heading(visit.page)).toBe('We can’t carry on with this request');
    const text = await visit.page.locator('main').innerText();
    expect(text).toContain('You have done nothing wrong.');
    expect(text).toMatch(/Reference\s+[\da-f-]{36}/);
    expect(await visit.page.content()).not.toContain('example.com');
    expect(await visit.page.locator('main a').count()).toBe(0);
    expect(hosted.arrivalsOf(request)).toEqual([]);
    await expectSoundPage(visit);
  });

  it.each([
    [
      'for a token by form',
      { response_type: 'token', response_mode: 'form_post' },
      'unsupported_response_type',
    ],
    ['with a broken max_age', { max_age: '-1' }, 'invalid_request'],
    ['that may not show a page', { prompt: 'none' }, 'login_required'],
  ])('%s goes back to the app', async (_, change, error) => {
    const visit = await hosted.visit();
    const request = await hosted.request(change);
    await visit.page.goto(request.url).catch(() => undefined); // a form may replace it while it loads
    const { parameters } = await hosted.arrivalOf(visit, request);
    expect(parameters.get('error')).toBe(error);
    expect(visit.complaints).toEqual([]);
  });

  it('is told in the language that the app asked for', async () => {
    const visit = await hosted.visit();
    await open(visit, (await hosted.request({ client_id: 'nobody', ui_locales: 'de' })).url);
    expect(await heading(visit.page)).toBe('Mit dieser Anfrage kommen wir nicht weiter');
    expect(await visit.page.locator('html').getAttribute('lang')).toBe('de');
    await expectSoundPage(visit);
  });
});

describe('An address', () => {
  it.each([
    { of: 'nothing', path: '/nowhere', status: 404, title: 'There is nothing here' },
    { of: 'no sign-in', path: '/interaction/x', status: 400, title: 'This sign-in has ended' },
    { of: 'no login', path: '/interaction/x/login', status: 400, title: 'This sign-in has ended' },
    { of: 'no request', path: '/authorize/x', status: 400, title: 'This sign-in has ended' },
    { of: 'a form only', path: '/logout/confirm', status: 405, title: 'There is nothing here' },
  ])('of $of is answered by a page', async ({ path, status, title }) => {
    const visit = await hosted.visit({ colorScheme: 'dark' });
    expect(await open(visit, hosted.server.issuer + path)).toBe(status);
    expect(await heading(visit.page)).toBe(title);
    await expectSoundPage(visit);
  });
});

import * as openid from 'openid-client';
import { afterAll, beforeAll, it } from 'vitest';
import { startBrowsing, accessibilityProblems } from '../support/browsing.ts';
import type { Browsing, Visit } from '../support/browsing.ts';
import { callbacks, discoverWeb } from '../support/journey.ts';
import { authorizationRequest } from '../support/openid.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
let server: AuthorizationServer; let browsing: Browsing; let web: openid.Configuration;
beforeAll(async () => { server = await startAuthorizationServer(); browsing = await startBrowsing(server); web = await discoverWeb(server); });
afterAll(async () => { await browsing.close(); await server.stop(); });
const req = (more = {}) => authorizationRequest(web, { redirect_uri: callbacks.web, scope: 'openid profile accounts', ...more });
async function state(label: string, v: Visit) {
  const body = await v.page.locator('body').innerText().catch((e) => String(e));
  console.log('##', label, v.page.url().slice(0, 90), '|', await v.page.title(), '|', body.slice(0, 400).replaceAll('\n', ' / '), '|', v.complaints);
}
async function login(v: Visit, url: string) {
  await v.page.goto(url);
  await v.page.fill('#username', server.customer.username);
  await v.page.fill('#password', server.customer.password);
  await v.page.click('button[value=login]');
  await v.page.waitForSelector('button[value=allow]');
}
for (const js of [true, false]) {
  it(`double click js=${js}`, async () => {
    const v = await browsing.visit({ javaScriptEnabled: js });
    const r = await req();
    await login(v, r.url);
    const before = browsing.arrivals.length;
    await v.page.dblclick('button[value=allow]', { noWaitAfter: true });
    await v.page.waitForTimeout(1500);
    await state('double click js=' + js, v);
    console.log('arrivals', browsing.arrivals.length - before, v.documents.map((d) => `${d.request().method()} ${d.status()} ${d.url().slice(22, 60)}`));
    await v.page.goBack().catch((e) => console.log(String(e)));
    await state('after back', v);
  });
  it(`form_post js=${js}`, async () => {
    const v = await browsing.visit({ javaScriptEnabled: js });
    const r = await req({ response_mode: 'form_post' });
    await login(v, r.url);
    await v.page.click('button[value=allow]', { noWaitAfter: true });
    await v.page.waitForTimeout(1000);
    await state('form_post js=' + js, v);
    if (js === false) { await v.page.click('button'); await v.page.waitForTimeout(800); await state('form_post after continue', v); }
    else console.log(await accessibilityProblems(v.page));
  });
  it(`logout js=${js}`, async () => {
    const v = await browsing.visit({ javaScriptEnabled: js });
    const to = `${server.issuer}/logout?client_id=web&post_logout_redirect_uri=${encodeURIComponent('https://web.example.com/logged-out')}&state=x`;
    await v.page.goto(to); await v.page.waitForTimeout(800);
    await state('logout without session js=' + js, v);
    if (!js) { await v.page.click('button'); await v.page.waitForTimeout(500); await state('continued', v); }
    await login(v, (await req()).url);
    await v.page.goto(`${server.issuer}/logout?client_id=web`);
    await v.page.click('button:not([name])');
    await v.page.waitForTimeout(300);
    await state('stay', v);
    await v.page.goto(to);
    await state('logout', v);
    await v.page.click('button[name=logout]');
    await v.page.waitForTimeout(300);
    await state('logged out', v);
  });
  it(`switch js=${js}`, async () => {
    const v = await browsing.visit({ javaScriptEnabled: js });
    const { addCustomer } = await import('../../src/customers/add-customer.ts');
    const { systemClock } = await import('../../src/clock.ts');
    const name = 'robin' + String(js);
    await addCustomer({ profile: { username: name, name: 'Robin' }, password: 'a long enough phrase ' + name }, { ...server.running.app, clock: systemClock } as never);
    await login(v, (await req()).url);
    await v.page.click('button[value=switch]');
    await state('switch', v);
    await v.page.fill('#username', name);
    await v.page.fill('#password', 'a long enough phrase ' + name);
    await v.page.click('button[value=login]', { noWaitAfter: true });
    await v.page.waitForTimeout(1000);
    await state('switched', v);
    if (!js) { await v.page.click('button'); await v.page.waitForTimeout(500); await state('switched continued', v); }
  });
}

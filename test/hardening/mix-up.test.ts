import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { callbacks, discoverWeb, openAuthorization } from '../support/journey.ts';
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

async function parametersOf(change: Record<string, string>): Promise<Record<string, string>> {
  const { url } = await authorizationRequest(web, forWeb);
  return { ...Object.fromEntries(new URL(url).searchParams), ...change };
}

describe('Every answer to a client says who gives it (RFC 9207)', () => {
  it('as the metadata promise', () => {
    expect(web.serverMetadata().authorization_response_iss_parameter_supported).toBe(true);
    expect(web.serverMetadata().issuer).toBe(server.issuer);
  });

  it('a code', async () => {
    const { url } = await authorizationRequest(web, forWeb);
    const callback = await createCustomerAgent(server).authorize(url);
    expect(callback.searchParams.getAll('iss')).toEqual([server.issuer]);
  });

  it.each([
    ['nobody is logged in', { prompt: 'none' }],
    ['the request is wrong', { response_type: 'token' }],
    ['the resource is not allowed', { resource: 'https://nowhere.example.com' }],
    ['the client names another issuer', { prompt: 'none', iss: 'https://evil.example' }],
    ['the request has an object', { request: 'eyJhbGciOiJub25lIn0.e30.' }],
  ])('an error, when %s', async (_, change) => {
    const page = await openAuthorization(server, await parametersOf(change));
    const answer = new URL(page.url.replace('#', '?')).searchParams;
    expect(answer.get('error')).not.toBeNull();
    expect(answer.getAll('iss')).toEqual([server.issuer]);
  });

  it.each([
    ['cancels the login', 'login', { action: 'cancel' }],
    ['refuses', 'consent', { decision: 'deny' }],
  ])('an error, when the customer %s', async (_, step, fields) => {
    const agent = createCustomerAgent(server);
    const { url } = await authorizationRequest(web, forWeb);
    let page = await agent.open(url);
    const { username, password } = server.customer;
    if (step === 'consent') page = await agent.submit(page, { username, password });
    const answer = new URL((await agent.submit(page, fields)).url).searchParams;
    expect(answer.get('error')).toBe('access_denied');
    expect(answer.getAll('iss')).toEqual([server.issuer]);
  });
});

describe('A client that was mixed up', () => {
  it('notices by the issuer in the answer', async () => {
    const { url, checks } = await authorizationRequest(web, forWeb);
    const callback = await createCustomerAgent(server).authorize(url);
    const noticed = { cause: { message: expect.stringContaining('"iss"') as string } };
    callback.searchParams.set('iss', 'https://honest.example');
    const other = openid.authorizationCodeGrant(web, callback, checks);
    await expect(other).rejects.toMatchObject(noticed);
    callback.searchParams.delete('iss');
    const absent = openid.authorizationCodeGrant(web, callback, checks);
    await expect(absent).rejects.toMatchObject(noticed);
  });
});

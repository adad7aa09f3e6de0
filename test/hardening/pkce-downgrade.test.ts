import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy } from '../support/attack.ts';
import {
  authorize,
  callbacks,
  discoverWeb,
  openAuthorization,
  postForm,
} from '../support/journey.ts';
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

const forWeb = { redirect_uri: callbacks.web, scope: 'accounts' };

async function without(...names: string[]): Promise<Record<string, string>> {
  const { url } = await authorizationRequest(web, forWeb);
  const all = [...new URL(url).searchParams].filter(([name]) => !names.includes(name));
  return Object.fromEntries(all);
}

function exchange(code: string, more: Record<string, string>) {
  const { redirect_uri } = forWeb;
  return postForm(server, '/token', {
    parameters: { grant_type: 'authorization_code', code, redirect_uri, ...more },
    basic: ['web', server.secrets.web],
  });
}

describe('PKCE is not talked away at the authorization endpoint', () => {
  it.each([
    ['without it', {}],
    ['with "plain"', { code_challenge: 'a'.repeat(43), code_challenge_method: 'plain' }],
    ['with no method, which means "plain"', { code_challenge: 'a'.repeat(43) }],
    [
      'with "s256", which is no method',
      { code_challenge: 'a'.repeat(43), code_challenge_method: 's256' },
    ],
    ['with a method and no challenge', { code_challenge_method: 'S256' }],
    ['with an empty challenge', { code_challenge: '', code_challenge_method: 'S256' }],
    ['with a challenge of 42', { code_challenge: 'a'.repeat(42), code_challenge_method: 'S256' }],
    [
      'with another alphabet',
      { code_challenge: `${'a'.repeat(42)}=`, code_challenge_method: 'S256' },
    ],
  ])('%s there is no code', async (_, change) => {
    const parameters = { ...(await without('code_challenge', 'code_challenge_method')), ...change };
    const attack = async () => {
      const page = await openAuthorization(server, parameters);
      const answer = new URL(page.url).searchParams;
      expect(answer.get('error')).toBe('invalid_request');
      expect(answer.get('code')).toBeNull();
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

describe('A code with a challenge', () => {
  it.each([
    ['no verifier', {}],
    ['an empty verifier', { code_verifier: '' }],
    ['the challenge as verifier', 'challenge'],
    ['another verifier', { code_verifier: 'b'.repeat(43) }],
    ['a verifier that is too short', { code_verifier: 'b' }],
    [
      'a verifier with the method "plain"',
      { code_verifier: 'c'.repeat(43), code_challenge_method: 'plain' },
    ],
  ])('is not exchanged with %s, and then still with the right one', async (_, change) => {
    const { code, codeVerifier } = await authorize(server, web, { parameters: forWeb });
    const challenge = await openidChallenge(codeVerifier);
    const tried = change === 'challenge' ? { code_verifier: challenge } : change;
    const attack = async () => {
      const { status, body } = await exchange(code, tried);
      expect(status).toBe(400);
      expect(body['error']).toMatch(/^invalid_(?:grant|request)$/);
      expect(body).not.toHaveProperty('access_token');
    };
    expect(await issuedBy(server, attack)).toBe(0);
    expect((await exchange(code, { code_verifier: codeVerifier })).status).toBe(200);
  });

  it('said twice is not exchanged', async () => {
    const { code, codeVerifier } = await authorize(server, web, { parameters: forWeb });
    const attack = async () => {
      const parameters: [string, string][] = [
        ['grant_type', 'authorization_code'],
        ['code', code],
        ['redirect_uri', callbacks.web],
        ['code_verifier', 'b'.repeat(43)],
        ['code_verifier', codeVerifier],
      ];
      const basic = ['web', server.secrets.web] as const;
      const { status, body } = await postForm(server, '/token', { parameters, basic });
      expect([status, body['error']]).toEqual([400, 'invalid_request']);
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

it('What is offered is S256 alone', () => {
  expect(web.serverMetadata().code_challenge_methods_supported).toEqual(['S256']);
});

async function openidChallenge(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', Buffer.from(verifier));
  return Buffer.from(digest).toString('base64url');
}

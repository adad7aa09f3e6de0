import { accountsApi, opaqueApi } from '../parts/world.ts';
import type { FlowName } from '../parts/figures.ts';
import { pushAuthorizeAndExchange } from './fapi.ts';
import { accountsWish, authorizeAndExchange, expectOk, lodgeConsent, tokensIn } from './lane.ts';
import type { Lane } from './lane.ts';

/** One unit of each flow: what is counted as 1. Throws unless the answer is right. */
export const flows: Record<FlowName, (lane: Lane) => Promise<void>> = {
  'client-credentials': (lane) => clientCredentials(lane, accountsApi, 'accounts'),
  'client-credentials-opaque': (lane) => clientCredentials(lane, opaqueApi, 'statements'),

  async refresh({ mutual, client, tokens }) {
    const form = {
      grant_type: 'refresh_token',
      client_id: client,
      refresh_token: tokens.refreshToken,
    };
    tokensIn(await mutual.post('/token', form));
  },

  async 'refresh-rotating'({ plain, tokens }) {
    const form = {
      grant_type: 'refresh_token',
      client_id: 'app',
      refresh_token: tokens.rotatingToken,
    };
    tokens.rotatingToken = tokensIn(await plain.post('/token', form)).refresh_token;
  },

  'introspection-jwt': (lane) => introspect(lane, 'accounts-rs', lane.tokens.jwt),
  'introspection-opaque': (lane) => introspect(lane, 'opaque-rs', lane.tokens.opaqueToken),

  async userinfo({ mutual, tokens }) {
    const authorization = `Bearer ${tokens.userinfoToken}`;
    expectOk(await mutual.get('/userinfo', { authorization }));
  },

  async discovery({ plain }) {
    expectOk(await plain.get('/.well-known/openid-configuration'));
  },

  async jwks({ plain }) {
    expectOk(await plain.get('/jwks'));
  },

  async authorization(lane) {
    await authorizeAndExchange(lane, lane.signedIn, accountsWish(lane));
  },

  fapi: pushAuthorizeAndExchange,

  async login(lane) {
    await authorizeAndExchange(lane, lane.newBrowser(), accountsWish(lane));
  },

  async 'consent-lodging'(lane) {
    await lodgeConsent(lane);
  },

  async 'consent-status'({ plain, basic, consents }) {
    const id = consents.shift() ?? '';
    consents.push(id);
    const path = `/consents/v1/${encodeURIComponent(id)}/status`;
    expectOk(await plain.get(path, basic('accounts-rs')));
  },

  async 'api-key'({ plain, basic, apiKey: key }) {
    const question = JSON.stringify({ key, address: '192.0.2.1' });
    const answer = await plain.postJson('/api-keys/v1/verify', question, basic('accounts-rs'));
    if (!answer.text.includes('"active":true')) throw new Error(answer.text);
  },

  async 'edge-jwt'({ plain, proxied, tokens }) {
    const caller = proxied('GET', '/accounts/1/balances?page=2');
    const authorization = `Bearer ${tokens.jwt}`;
    expectOk(await plain.get('/edge/verify', { ...caller, authorization }));
  },

  async 'edge-api-key'({ plain, proxied, apiKey }) {
    const caller = proxied('GET', '/exports/2026');
    expectOk(await plain.get('/edge/verify', { ...caller, 'x-api-key': apiKey }));
  },
};

async function clientCredentials(lane: Lane, resource: string, scope: string): Promise<void> {
  const form = { grant_type: 'client_credentials', client_id: lane.nextClient(), scope, resource };
  tokensIn(await lane.mutual.post('/token', form));
}

async function introspect(
  { plain, basic }: Lane,
  resourceServer: 'accounts-rs' | 'opaque-rs',
  token: string,
): Promise<void> {
  const answer = await plain.post('/introspect', { token }, basic(resourceServer));
  if (!answer.text.includes('"active":true')) throw new Error(`not active: ${answer.text}`);
}

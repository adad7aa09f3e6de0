import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { streamDraft } from '../support/events.ts';
import { signedWith } from '../support/forged-jwt.ts';
import type { TrustedKey } from '../support/forged-jwt.ts';
import {
  authorize,
  callbacks,
  discoverApp,
  discoverWeb,
  introspect,
  obtainTokens,
  postForm,
  userinfo,
} from '../support/journey.ts';
import { authorizationRequest, discoverTpp } from '../support/openid.ts';
import { asserted } from '../support/protocol.ts';
import { everyTable, formsOf, watchSecrets } from '../support/secrets-seen.ts';
import type { SecretsSeen } from '../support/secrets-seen.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const robotKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const robot: TrustedKey = { jwk: robotKey.privateKey.export({ format: 'jwk' }), alg: 'ES256' };

let server: AuthorizationServer;
let seen: SecretsSeen;
/** What is kept or written, by where. */
let places: Map<string, string>;
let refreshToken = '';

beforeAll(async () => {
  const { kty = '', crv = '', x = '', y = '' } = robot.jwk;
  const real = await startAuthorizationServer({
    clients: [
      {
        metadata: {
          client_id: 'robot',
          grant_types: ['client_credentials'],
          redirect_uris: [],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ kty, crv, x, y }] },
        },
        permissions: { [accountsApi]: ['accounts'] },
      },
    ],
  });
  ({ server, seen } = watchSecrets(real));
  const authorization = 'Bearer of-a-receiver-of-events-0123456789';
  seen.set(authorization, 'authorization of an event stream');
  await real.running.app.eventStreams.insert(
    streamDraft({ id: 'told', clientId: 'web', authorization }),
  );
  await customersOfEveryClient();
  await machines();
  await mistakes();
  await server.running.app.audit.flush();
  places = await everyTable(server);
  places.set('log', await server.log.raw());
  places.set('metrics', await (await fetch(`${server.operationsOrigin}/metrics`)).text());
  noteKeys();
});

afterAll(() => server.stop());

const forWeb = { redirect_uri: callbacks.web, scope: 'openid profile accounts' };

async function customersOfEveryClient(): Promise<void> {
  const tpp = await discoverTpp(server);
  const forTpp = { redirect_uri: callbacks.tpp, scope: 'openid accounts', resource: accountsApi };
  const first = await obtainTokens(server, tpp, { parameters: forTpp });
  await openid.refreshTokenGrant(tpp, first.refresh_token ?? '');
  await introspect(server, first.access_token);
  await userinfo(server, first.access_token, { certificate: server.tpp });

  const web = await discoverWeb(server);
  const opaque = { redirect_uri: callbacks.web, scope: 'statements', resource: opaqueApi };
  const tokens = await obtainTokens(server, web, { parameters: opaque });
  refreshToken = tokens.refresh_token ?? '';
  await introspect(server, tokens.access_token, 'opaque-rs');

  const app = await discoverApp(server);
  const forApp = { redirect_uri: callbacks.app, scope: 'openid accounts' };
  const rotating = await obtainTokens(server, app, { parameters: forApp });
  const next = await openid.refreshTokenGrant(app, rotating.refresh_token ?? '');
  await openid.refreshTokenGrant(app, rotating.refresh_token ?? '').catch(() => undefined);
  await openid.refreshTokenGrant(app, next.refresh_token ?? '').catch(() => undefined);

  const agent = createCustomerAgent(server);
  const { id_token = '', access_token } = await obtainTokens(server, web, {
    parameters: forWeb,
    agent,
  });
  await openid.tokenRevocation(web, access_token);
  const page = await agent.open(`${server.issuer}/logout?id_token_hint=${id_token}`);
  await agent.submit(page, { logout: 'yes' });
}

async function machines(): Promise<void> {
  const now = epochSeconds(systemClock);
  const claims = { iss: 'robot', sub: 'robot', aud: server.issuer, iat: now, exp: now + 60 };
  const jwt = signedWith(robot, { header: {}, payload: { ...claims, jti: randomUUID() } });
  for (let i = 0; i < 2; i += 1) {
    const parameters = { grant_type: 'client_credentials', ...asserted(jwt) };
    await postForm(server, '/token', { parameters });
  }
  const web = await discoverWeb(server);
  const { access_token } = await openid.clientCredentialsGrant(web, { resource: opaqueApi });
  await introspect(server, access_token, 'opaque-rs');
}

/** What clients and customers do wrong, with right secrets in wrong places and nearly right ones. */
async function mistakes(): Promise<void> {
  const web = await discoverWeb(server);
  const { code, codeVerifier } = await authorize(server, web, { parameters: forWeb });
  const basic = ['web', server.secrets.web] as const;
  const form = { grant_type: 'authorization_code', code, redirect_uri: callbacks.web };
  const wrong = { ...form, code_verifier: `${codeVerifier.slice(0, -4)}oops` };
  await postForm(server, '/token', { parameters: wrong, basic });
  const secret = `${server.secrets.web.slice(0, -4)}oops`;
  await postForm(server, '/token', { parameters: form, basic: ['web', secret] });
  await postForm(server, '/token', { parameters: { ...form, client_id: 'app' } });
  await postForm(server, '/token', {
    parameters: { ...form, scope: code, grant_type: code },
    basic,
  });
  const swapped = { grant_type: 'client_credentials', client_id: server.secrets.web };
  await postForm(server, '/token', { parameters: swapped });

  const tokens = await obtainTokens(server, web, { parameters: forWeb });
  const { access_token: jwt, refresh_token: refresh = '', id_token = '' } = tokens;
  const agent = createCustomerAgent(server);
  for (const token of [jwt, refresh, id_token, code]) {
    await agent.open(`${server.issuer}/userinfo?access_token=${token}`);
    await agent.open(`${server.issuer}/revoke/${token}`);
    await agent.open(`${server.issuer}/${token}`);
    await agent.open(`${server.issuer}/authorize?client_id=${token}&redirect_uri=${token}`);
    await agent.open(`${server.issuer}/authorize/${token}`);
    await agent.open(`${server.issuer}/interaction/${token}`);
    await server.fetch()(`${server.mtlsOrigin}/authorize/${token}`);
    await postForm(server, '/revoke', { parameters: { token, client_id: token } });
    await userinfo(server, token);
    const { url } = await authorizationRequest(web, forWeb);
    for (const name of ['scope', 'prompt', 'resource', 'claims', 'response_mode', 'acr_values']) {
      await agent.open(`${url}&${new URLSearchParams({ [name]: token }).toString()}`);
      const other = new URL(url);
      other.searchParams.set(name, token);
      await agent.open(other.href);
    }
  }
  await wrongLogins();
}

async function wrongLogins(): Promise<void> {
  const web = await discoverWeb(server);
  const { username, password } = server.customer;
  const agent = createCustomerAgent(server);
  const { url } = await authorizationRequest(web, forWeb);
  const page = await agent.open(url);
  const typed = [
    { username, password: `${password.slice(0, -4)}oops` },
    { username: password, password: 'password and name swapped' },
    { username, password: '' },
  ];
  for (const fields of typed) await agent.submit(page, { ...fields, action: 'login' });
  seen.set(password, 'password typed as a name');
}

function noteKeys(): void {
  const { signingKeys, masterKeys, cookieKeys, ...others } = server.material;
  const { encryptionKeys, digestKey, pairwiseSalt } = others;
  for (const jwk of [...signingKeys, robot.jwk] as Record<string, unknown>[]) {
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi']) {
      const value = jwk[name];
      if (typeof value === 'string') seen.set(value, `private key ${name}`);
    }
  }
  for (const key of [...masterKeys, ...cookieKeys, ...encryptionKeys, digestKey, pairwiseSalt]) {
    seen.set(key.toString('base64url'), 'key of ours');
  }
  const pem = server.material.tlsPrivateKey.split('\n')[1] ?? '';
  seen.set(pem, 'key of the TLS certificate');
  for (const secret of Object.values(server.secrets)) seen.set(secret, 'client secret');
}

/** Where a secret stands, in whatever form. */
function leaksOf(secret: string): string[] {
  const forms = formsOf(secret);
  return [...places]
    .filter(([, text]) => forms.some((form) => text.includes(form)))
    .map(([place]) => place);
}

describe('After a day of everything', () => {
  it('secrets of every kind were seen, and what is kept was read', () => {
    const kinds = new Set([...seen.values()].map((where) => where.replace(/^\w+ /, '')));
    expect([...kinds]).toEqual(
      expect.arrayContaining([
        'code',
        'access_token',
        'refresh_token',
        'id_token',
        'code_verifier',
        'csrf',
        'xsrf',
        'password',
        'client_assertion',
        '__Host-session',
        '__Host-session.sig',
        '__Secure-resume',
      ]),
    );
    expect(seen.size).toBeGreaterThan(80);
    const digest = createHash('sha256').update(refreshToken).digest();
    expect(places.get('artifacts')).toContain(digest.toString('latin1'));
    expect(places.get('artifacts')).toContain(digest.toString('hex'));
    expect(places.get('audit_events')).toContain('token.issued');
    expect(places.get('log')).toContain('token.refused');
    expect(places.get('metrics')).toContain('authorization_code');
  });

  it('none of them stands in a table, the log, the metrics or the audit trail', () => {
    const leaks = [...seen].flatMap(([secret, where]) =>
      leaksOf(secret).map((place) => `${where} in ${place}`),
    );
    expect([...new Set(leaks)]).toEqual([]);
  });

  it('nor does who the customer is', () => {
    for (const personal of ['Casey Miller', 'casey@example.com', '"casey"', ' casey ']) {
      expect(leaksOf(personal), `for ${personal}`).toEqual([]);
    }
  });

  it('and it would have been noticed', () => {
    const planted = 'pl4nted-secret-of-a-client-0123456789abcdef';
    const bytes = Buffer.from(planted);
    for (const coding of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      places.set('planted', `before ${bytes.toString(coding)} after`);
      expect(leaksOf(planted), `for ${coding}`).toEqual(['planted']);
    }
    places.delete('planted');
  });
});

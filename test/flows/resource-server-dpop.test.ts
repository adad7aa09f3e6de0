import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startResourceServer } from '../../examples/resource-server/server.ts';
import type { RunningResourceServer } from '../../examples/resource-server/server.ts';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient, ProofOptions } from '../support/fapi.ts';
import { basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let api: RunningResourceServer;
let client: FapiClient;
let token: string;

const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

beforeAll(async () => {
  const key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
  });
  const { authority, server: own } = server.certificates;
  api = await startResourceServer({
    issuer: server.issuer,
    identifier: accountsApi,
    tls: { cert: own.certificatePem, key: own.privateKeyPem, ca: authority.certificatePem },
    port: 0,
    fetch: server.fetch(),
    introspection: { clientId: 'accounts-rs', clientSecret: server.secrets['accounts-rs'] },
  });
  client = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
  token = String((await client.token(form)).body['access_token']);
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

const url = () => `${api.url}/accounts`;

function proof(options: Partial<ProofOptions> = {}): Promise<string> {
  const usual = { key: client.proofKey, url: url(), method: 'GET', accessToken: token };
  return dpopProof({ ...usual, ...options });
}

function call(headers: Record<string, string>): Promise<Answer> {
  return send(server.fetch(), url(), { headers });
}

const callWith = (dpop: string, authorization = `DPoP ${token}`) => call({ authorization, dpop });

describe('The example resource server', () => {
  it('answers a token with a proof of its key', async () => {
    expect((await callWith(await proof())).status).toBe(200);
    const query = await proof({ claims: { htu: `${url()}?x=1` } });
    expect((await callWith(query)).status).toBe(200);
  });

  it('takes a proof once', async () => {
    const once = await proof();
    expect((await callWith(once)).status).toBe(200);
    const again = await callWith(once);
    expect([again.status, again.body['error']]).toEqual([401, 'invalid_dpop_proof']);
    expect(again.headers.get('www-authenticate')).toMatch(/^DPoP .*algs="ES256/);
  });

  it.each<[string, () => Partial<ProofOptions>]>([
    ['another method', () => ({ method: 'POST' })],
    ['another address', () => ({ url: `${api.url}/payments` })],
    ['another host', () => ({ url: 'https://evil.example/accounts' })],
    ['another token', () => ({ accessToken: 'another' })],
    ['no token', () => ({ claims: { ath: undefined } })],
    ['no jti', () => ({ claims: { jti: undefined } })],
    ['an old time', () => ({ claims: { iat: epochSeconds(systemClock) - 70 } })],
    ['a time to come', () => ({ claims: { iat: epochSeconds(systemClock) + 70 } })],
    ['another type', () => ({ header: { typ: 'JWT' } })],
  ])('refuses a proof with %s', async (_name, options) => {
    const answer = await callWith(await proof(options()));
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_dpop_proof']);
  });

  it('refuses the proof of another key, no proof, and nonsense', async () => {
    const thief = await callWith(await proof({ key: await newClientKey() }));
    expect([thief.status, thief.body['error']]).toEqual([401, 'invalid_token']);
    const bearer = await call({ authorization: `Bearer ${token}` });
    expect([bearer.status, bearer.body['error']]).toEqual([401, 'invalid_token']);
    const none = await call({ authorization: `DPoP ${token}` });
    expect([none.status, none.body['error']]).toEqual([401, 'invalid_dpop_proof']);
    const nonsense = await callWith('x.y.z');
    expect([nonsense.status, nonsense.body['error']]).toEqual([401, 'invalid_dpop_proof']);
  });

  it('refuses a proof for a token that is bound to no key', async () => {
    const { body } = await post(server.fetch(), `${server.issuer}/token`, {
      form,
      headers: basic('web', server.secrets.web),
    });
    const accessToken = String(body['access_token']);
    const answer = await callWith(await proof({ accessToken }), `DPoP ${accessToken}`);
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_token']);
  });

  it('refuses a token that was revoked, proof or not', async () => {
    const accessToken = String((await client.token(form)).body['access_token']);
    const ask = async () => callWith(await proof({ accessToken }), `DPoP ${accessToken}`);
    expect((await ask()).status).toBe(200);
    await client.post('/revoke', { token: accessToken }, { proof: false });
    expect([(await ask()).status, (await ask()).body['error']]).toEqual([401, 'invalid_token']);
  });
});

import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { codeIn, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient } from '../support/fapi.ts';
import { asserted, auditOf, clientAssertion, databaseText, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let key: ClientKey;
let rsa: ClientKey;
let client: FapiClient;
let baseline: FapiClient;
/** Of the profile `fapi2`, which leaves signing to the client. */
let plain: FapiClient;

beforeAll(async () => {
  key = await newClientKey('ES256');
  rsa = await newClientKey('RS256');
  const keys = { jwks: { keys: [key.jwk, rsa.jwk] } };
  const signing = { security_profile: 'fapi2-message-signing', ...keys };
  server = await startAuthorizationServer({
    algorithms: ['PS256', 'ES256'],
    clients: [
      fapiRegistration('signing', key, signing),
      fapiRegistration('plain', key, keys),
      fapiRegistration('baseline', rsa, { security_profile: 'baseline' }),
    ],
  });
  const proofKey = await newClientKey();
  client = fapiClient(server, { id: 'signing', key, proofKey });
  baseline = fapiClient(server, { id: 'baseline', key: rsa, proofKey });
  plain = fapiClient(server, { id: 'plain', key, proofKey });
});

afterAll(() => server.stop());

const now = () => epochSeconds(systemClock);
const signed = { response_mode: 'jwt' };

function expectError(answer: Answer, error: string): void {
  expect([answer.status, answer.body['error']]).toEqual([400, error]);
}

/** Verified with the published keys. */
async function verified(jwt: string, typ?: string) {
  const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`), {
    [customFetch]: server.fetch(),
  });
  const algorithms = ['PS256', 'ES256'];
  return jwtVerify(jwt, keys, { algorithms, ...(typ === undefined ? {} : { typ }) });
}

describe('FAPI 2.0 Message Signing 5.3.1: signed requests', () => {
  it('5.3.1-1: a signed request object at PAR is accepted, an unsigned request refused', async () => {
    const request = await client.requestObject(signed);
    const accepted = await client.push({ request });
    expect(accepted.status).toBe(201);
    expectError(await client.push({ ...client.parameters, ...signed }), 'invalid_request');
  });

  it('what stands beside the request object is not looked at', async () => {
    const request = await client.requestObject({ ...signed, state: 'signed' });
    const url = await client.pushed({ request, state: 'beside', scope: 'openid payments' });
    const callback = await createCustomerAgent(server).authorize(url);
    const response = decodeJwt(callback.searchParams.get('response') ?? '');
    expect(response['state']).toBe('signed');
  });

  it.each([
    ['the issuer', () => server.issuer, 201],
    ['an array with the issuer', () => ['https://x.example', server.issuer], 201],
    ['another server', () => 'https://x.example', 400],
    ['an array without the issuer', () => [`${server.issuer}/par`], 400],
    ['nobody', () => undefined, 400],
  ])('5.3.1-2: aud is or contains the issuer; %s', async (_name, aud, status) => {
    const answer = await client.push({
      request: await client.requestObject({ ...signed, aud: aud() }),
    });
    expect(answer.status).toBe(status);
  });

  it.each([
    ['no nbf', () => ({ nbf: undefined }), 400],
    ['an nbf of 61 minutes ago', () => ({ nbf: now() - 3660, exp: now() + 60 }), 400],
    ['an nbf of 59 minutes ago', () => ({ nbf: now() - 3540, exp: now() + 30 }), 201],
  ])('5.3.1-3: nbf is there and at most 60 minutes old; %s', async (_name, times, status) => {
    const request = await client.requestObject({ ...signed, ...times() });
    expect((await client.push({ request })).status).toBe(status);
  });

  it.each([
    ['no exp', () => ({ exp: undefined }), 400],
    ['an exp 61 minutes after nbf', () => ({ nbf: now(), exp: now() + 3660 }), 400],
    ['an exp 60 minutes after nbf', () => ({ nbf: now(), exp: now() + 3600 }), 201],
    ['an exp before nbf', () => ({ nbf: now() + 8, exp: now() + 4 }), 400],
    ['an exp in the past', () => ({ nbf: now() - 120, exp: now() - 60 }), 400],
  ])('5.3.1-4: exp is there and within 60 minutes of nbf; %s', async (_name, times, status) => {
    const request = await client.requestObject({ ...signed, ...times() });
    expect((await client.push({ request })).status).toBe(status);
  });

  it.each([
    ['oauth-authz-req+jwt', 201],
    ['application/oauth-authz-req+jwt', 201],
    ['JWT', 201],
    [undefined, 201],
    ['dpop+jwt', 400],
    ['at+jwt', 400],
    ['client-authentication+jwt', 400],
  ])('5.3.1-5: typ %s', async (typ, status) => {
    const request = await client.requestObject(signed, { header: { typ } });
    expect((await client.push({ request })).status).toBe(status);
  });

  it('5.3.3: response_modes of the client decide how it may be answered', async () => {
    for (const response_mode of ['query', 'fragment', 'form_post', undefined]) {
      const request = await client.requestObject({ response_mode });
      expectError(await client.push({ request }), 'invalid_request');
    }
  });

  it('is refused for another client, key, algorithm or purpose', async () => {
    const foreign = await newClientKey();
    const requests = [
      await plain.requestObject(signed),
      await client.requestObject(signed, { key: foreign, header: { kid: key.kid } }),
      await client.requestObject(signed, { key: rsa }),
      await client.requestObject({ ...signed, iss: 'plain' }),
      await client.requestObject({ ...signed, sub: client.id }),
      await client.requestObject({ ...signed, client_id: undefined }),
      await client.requestObject({ ...signed, request_uri: 'https://x.example' }),
      await client.requestObject(signed, { header: { jku: 'https://x.example' } }),
      await client.requestObject(signed, { header: { x5u: 'https://x.example' } }),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await client.requestObject(signed)).split('.')[1] ?? ''}.`,
    ];
    for (const request of requests) {
      const answer = await client.push({ request });
      expectError(answer, 'invalid_request_object');
      const [event] = await auditOf(server, answer);
      expect(event?.type).toBe('authorization.push_refused');
    }
  });

  it('is no client assertion, and an assertion no request', async () => {
    const request = await client.requestObject({ ...signed, sub: client.id, jti: 'x' });
    const misused = await client.push(
      { request: await client.requestObject(signed), ...asserted(request) },
      { assertion: false },
    );
    expect([misused.status, misused.body['error']]).toEqual([401, 'invalid_client']);
    const assertion = await clientAssertion({
      clientId: client.id,
      key: key.privateKey,
      alg: 'ES256',
      kid: key.kid,
      audience: server.issuer,
      claims: { client_id: client.id },
    });
    expectError(await client.push({ request: assertion }), 'invalid_request_object');
  });
});

describe('FAPI 2.0 Message Signing 5.4.1: signed responses', () => {
  const respond = async (of: FapiClient, parameters: Record<string, unknown>) => {
    const url = await of.pushed({ request: await of.requestObject(parameters) });
    return createCustomerAgent(server).authorize(url);
  };

  it.each(['jwt', 'query.jwt'])('5.4.1-1: %s is one signed JWT', async (response_mode) => {
    const callback = await respond(client, { response_mode });
    expect([...callback.searchParams.keys()]).toEqual(['response']);
    const response = callback.searchParams.get('response') ?? '';
    const { payload, protectedHeader } = await verified(response);
    expect(protectedHeader.alg).toBe('PS256');
    expect(payload).toMatchObject({ iss: server.issuer, aud: client.id, state: 'xyz' });
    expect((payload.exp ?? 0) - now()).toBeLessThanOrEqual(600);
    expect((await client.exchange(String(payload['code']))).status).toBe(200);
  });

  it('5.4.1-1: a client that agreed to it gets no unsigned response, errors included', async () => {
    const agent = createCustomerAgent(server);
    const request = await client.requestObject({ ...signed, prompt: 'none' });
    const end = await agent.open(await client.pushed({ request }));
    const callback = new URL(end.url);
    expect([...callback.searchParams.keys()]).toEqual(['response']);
    const { payload } = await verified(callback.searchParams.get('response') ?? '');
    expect(payload).toMatchObject({ error: 'login_required', iss: server.issuer });
  });

  it.each<[string, () => Promise<Record<string, string>>]>([
    ['that was not pushed', () => Promise.resolve(client.parameters)],
    [
      'that asks for a query',
      () => Promise.resolve({ ...client.parameters, response_mode: 'query' }),
    ],
    ['that asks for a JWT', () => Promise.resolve({ ...client.parameters, ...signed })],
    [
      'that is signed, and was not pushed',
      async () => ({ ...client.parameters, request: await client.requestObject(signed) }),
    ],
    [
      'whose pushed request nobody knows',
      () =>
        Promise.resolve({
          ...client.parameters,
          request_uri: 'urn:ietf:params:oauth:request_uri:none',
        }),
    ],
  ])('5.4.1-1: a request %s ends on our page, not at the client', async (_what, parameters) => {
    const query = { client_id: client.id, ...(await parameters()), state: 'of-an-attacker' };
    const search = new URLSearchParams(query).toString();
    const answer = await send(server.fetch(), `${server.issuer}/authorize?${search}`);
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
    expect(answer.text).not.toContain('of-an-attacker');
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({ type: 'authorization.refused', client_id: client.id });
  });

  it('5.4.1-1: errors are signed from the moment on in which the client is held to it', async () => {
    const url = await plain.pushed();
    const { clients } = server.running.app;
    const [before, signing] = [await clients.find(plain.id), await clients.find(client.id)];
    if (before === undefined || signing === undefined) throw new Error('no client');
    const { client_id, redirect_uris } = before.metadata;
    await clients.save({
      ...before,
      metadata: { ...signing.metadata, client_id, redirect_uris },
    });
    const answer = await send(server.fetch(), url);
    await clients.save(before);
    const { searchParams } = new URL(answer.headers.get('location') ?? '');
    expect([...searchParams.keys()]).toEqual(['response']);
    const { payload } = await verified(searchParams.get('response') ?? '');
    expect(payload).toMatchObject({ aud: plain.id, state: 'xyz', iss: server.issuer });
    expect(payload['error']).toBeDefined();
  });

  it('a fapi2 client is told of a request that was not pushed', async () => {
    const query = new URLSearchParams({ client_id: plain.id, ...plain.parameters }).toString();
    const answer = await send(server.fetch(), `${server.issuer}/authorize?${query}`);
    const location = new URL(answer.headers.get('location') ?? '');
    expect(location.searchParams.get('error')).toBe('invalid_request');
  });

  it('works for a fapi2 client that asks for it, which may do without', async () => {
    expect((await respond(plain, { response_mode: 'jwt' })).searchParams.has('response')).toBe(
      true,
    );
    expect((await respond(plain, {})).searchParams.has('code')).toBe(true);
    expect((await plain.authorize()).searchParams.get('iss')).toBe(server.issuer);
  });

  it('comes by form_post.jwt in a form', async () => {
    const agent = createCustomerAgent(server);
    const request = await client.requestObject({ response_mode: 'form_post.jwt' });
    const { username, password } = server.customer;
    const login = await agent.open(await client.pushed({ request }));
    const consent = await agent.submit(login, { username, password, action: 'login' });
    const { html } = await agent.submit(consent, { decision: 'allow' });
    const [, response = ''] = /name="response" value="([^"]+)"/.exec(html) ?? [];
    expect((await verified(response)).payload['code']).toBeDefined();
  });
});

describe('FAPI 2.0 Message Signing 5.6 and 7', () => {
  it('5.6: ID tokens are signed', async () => {
    const { body } = await plain.exchange(codeIn(await plain.authorize()));
    const { payload } = await verified(String(body['id_token']));
    expect(payload.aud).toBe(plain.id);
  });

  it('7: neither requests nor responses are kept in clear, nor in the log', async () => {
    const request = await client.requestObject(signed);
    await client.push({ request });
    const [, , signature = '-'] = request.split('.');
    expect(await databaseText(server)).not.toContain(signature);
    expect(JSON.stringify(await server.log.lines())).not.toContain(signature);
  });
});

describe('A baseline client', () => {
  it('may sign its request at the authorization endpoint, with RS256 too', async () => {
    const metadata = await send(
      server.fetch(),
      `${server.issuer}/.well-known/openid-configuration`,
    );
    expect(metadata.body).toMatchObject({
      request_parameter_supported: true,
      request_uri_parameter_supported: false,
    });
    for (const use of ['authorization', 'introspection']) {
      const algorithms = metadata.body[`${use}_signing_alg_values_supported`] as string[];
      expect([...algorithms].sort()).toEqual(['ES256', 'PS256', 'RS256']);
    }
    const request = await baseline.requestObject({}, { key: rsa });
    const query = new URLSearchParams({ client_id: baseline.id, request }).toString();
    const agent = createCustomerAgent(server);
    const callback = await agent.authorize(`${server.issuer}/authorize?${query}`);
    expect(callback.searchParams.get('state')).toBe('xyz');
    const { body } = await baseline.exchange(codeIn(callback));
    expect(decodeProtectedHeader(String(body['id_token'])).alg).toBe('RS256');

    const foreign = await baseline.requestObject({}, { key: await newClientKey() });
    const forged = new URLSearchParams({ client_id: baseline.id, request: foreign }).toString();
    const refused = await send(server.fetch(), `${server.issuer}/authorize?${forged}`);
    expect([refused.status, refused.text.includes('code=')]).toEqual([400, false]);
  });
});

import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient } from '../support/fapi.ts';
import { asserted, auditOf, basic, clientAssertion, post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let key: ClientKey;
let plain: FapiClient;

const notesApi = 'https://notes.example.com';
const signedType = 'application/token-introspection+jwt';

beforeAll(async () => {
  key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    resourceServers: [
      {
        identifier: notesApi,
        name: 'Notes',
        introspectionClientId: 'notes-rs',
        scopes: { notes: {} },
      },
    ],
    clients: [
      fapiRegistration('plain', key),
      {
        ...fapiRegistration('notes-rs', key, {
          security_profile: 'fapi2-message-signing',
          grant_types: [],
          redirect_uris: [],
          dpop_bound_access_tokens: undefined,
        }),
        permissions: {},
      },
    ],
  });
  plain = fapiClient(server, { id: 'plain', key, proofKey: await newClientKey() });
});

afterAll(() => server.stop());

function expectError(answer: Answer, error: string): void {
  expect([answer.status, answer.body['error']]).toEqual([400, error]);
}

describe('FAPI 2.0 Message Signing 5.5.1 and 6.2: signed introspection (RFC 9701)', () => {
  const token = async () => {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    return String((await plain.token(form)).body['access_token']);
  };
  const ask = (value: string, accept: string, as: 'accounts-rs' | 'opaque-rs' = 'accounts-rs') =>
    post(server.fetch(), `${server.issuer}/introspect`, {
      form: { token: value },
      headers: { accept, ...basic(as, server.secrets[as]) },
    });

  it('5.5.1-1: the answer is a JWT of its own type, for the resource server that asked', async () => {
    const answer = await ask(await token(), signedType);
    expect(answer.headers.get('content-type')).toContain(signedType);
    const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`), {
      [customFetch]: server.fetch(),
    });
    const { payload } = await jwtVerify(answer.text, keys, {
      typ: 'token-introspection+jwt',
      issuer: server.issuer,
      audience: 'accounts-rs',
      requiredClaims: ['iat'],
    });
    expect(payload['token_introspection']).toMatchObject({
      active: true,
      aud: accountsApi,
      client_id: plain.id,
    });
    expect([payload.sub, payload.exp, payload['scope']]).toEqual([undefined, undefined, undefined]);
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({ type: 'token.introspected', detail: { active: true } });
  });

  it('is plain JSON for who asks for that', async () => {
    const answer = await ask(await token(), 'application/json');
    expect(answer.body).toMatchObject({ active: true, token_type: 'DPoP' });
  });

  it('says of another resource server’s token that it is not active, signed', async () => {
    const answer = await ask(await token(), signedType, 'opaque-rs');
    expect(decodeJwt(answer.text)['token_introspection']).toEqual({ active: false });
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({ detail: { active: false } });
  });

  it('6.2: a client does not learn about its own tokens', async () => {
    const { body } = await plain.post('/introspect', { token: await token() }, { proof: false });
    expect(body).toEqual({ active: false });
  });

  it('a resource server of the message signing profile gets no unsigned answer', async () => {
    const assertion = async () =>
      asserted(
        await clientAssertion({
          clientId: 'notes-rs',
          key: key.privateKey,
          alg: 'ES256',
          kid: key.kid,
          audience: server.issuer,
        }),
      );
    const form = { token: await token() };
    const url = `${server.issuer}/introspect`;
    const plainly = await post(server.fetch(), url, { form: { ...form, ...(await assertion()) } });
    expectError(plainly, 'invalid_request');
    expect(plainly.text).not.toContain('active');
    const events = await auditOf(server, plainly);
    expect(events.map(({ type }) => type)).toEqual(['token.introspection_refused']);
    const signedAnswer = await post(server.fetch(), url, {
      form: { ...form, ...(await assertion()) },
      headers: { accept: signedType },
    });
    expect(decodeProtectedHeader(signedAnswer.text)).toMatchObject({
      alg: 'PS256',
      typ: 'token-introspection+jwt',
    });
  });
});

import { SignJWT } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import { grantActions } from '../../src/provider/grants/grant-request.ts';
import { bankApi, lodgeAccess, startConsentServer } from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { dpopProof, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey } from '../support/fapi.ts';
import {
  consentRequest,
  create,
  merge,
  query,
  refusalOf,
  replace,
  revoke,
  scopeRequest,
  tokensOf,
} from '../support/grants.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { asserted, auditOf, clientAssertion, post, send } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: ConsentServer;
let server: AuthorizationServer;
let tpp: Tpp;
let other: Tpp;
let key: ClientKey;
let grantId: string;

beforeAll(async () => {
  key = await newClientKey();
  world = await startConsentServer({
    algorithms: ['PS256', 'ES256'],
    clients: [fapiRegistration('dpop-tpp', key)],
  });
  ({ server, tpp, other } = world);
  const request = await scopeRequest(tpp, { scope: 'openid accounts', ...create });
  ({ grantId } = await tokensOf(server, tpp, request));
});

afterAll(() => server.stop());

const errorOf = async (parameters: Record<string, string>, by: Tpp = tpp) =>
  refusalOf(server, await scopeRequest(by, { scope: 'openid accounts', ...parameters }));

describe('An authorization request', () => {
  it.each([
    { grant_management_action: 'create', grant_id: 'some' },
    { grant_management_action: 'merge' },
    { grant_management_action: 'replace' },
    { grant_management_action: 'update', grant_id: 'some' },
    { grant_management_action: 'query', grant_id: 'some' },
    { grant_id: 'some' },
  ])('is invalid with %j', async (parameters) => {
    expect(await errorOf(parameters)).toBe('invalid_request');
  });

  it.each(['merge', 'replace'])('that is to %s a grant needs one of its own', async (action) => {
    const wish = { grant_management_action: action };
    expect(await errorOf({ ...wish, grant_id: 'x'.repeat(32) })).toBe('invalid_grant_id');
    expect(await errorOf({ ...wish, grant_id: grantId }, other)).toBe('invalid_grant_id');
    for (const unfit of ['\u0000', 'x'.repeat(5000), "' OR 1=1"]) {
      expect(await errorOf({ ...wish, grant_id: unfit })).toBe('invalid_grant_id');
    }
  });

  it('is refused where somebody else is signed in', async () => {
    const password = 'another customer’s long password';
    const profile = { username: 'robin', name: 'Robin' };
    await addCustomer({ profile, password }, { ...server.running.app, clock: systemClock });
    const request = await scopeRequest(tpp, { scope: 'openid accounts', ...merge(grantId) });
    const agent = createCustomerAgent(server);
    const page = await agent.open(request.url);
    const done = await agent.submit(page, { username: 'robin', password, action: 'login' });
    expect(new URL(done.url).searchParams.get('error')).toBe('invalid_grant_id');
  });

  it('is refused when it is pushed', async () => {
    const request = await scopeRequest(tpp, { scope: 'accounts', ...merge('none') });
    const form = { ...Object.fromEntries(new URL(request.url).searchParams) };
    const url = `${server.mtlsOrigin}/par`;
    const { status, body } = await post(server.fetch(tpp.certificate), url, { form });
    expect([status, body['error']]).toEqual([400, 'invalid_grant_id']);
  });

  it('does not take a consent out of another grant', async () => {
    const consentId = await lodgeAccess(tpp);
    await tokensOf(server, tpp, await consentRequest(tpp, consentId, create));
    for (const wish of [create, merge(grantId), replace(grantId)]) {
      const request = await consentRequest(tpp, consentId, wish);
      expect(await refusalOf(server, request)).toBe('invalid_request');
    }
  });

  it('is for confidential clients only', async () => {
    const app = await discover(server, { id: 'app', authentication: openid.None() });
    const request = await authorizationRequest(app, {
      redirect_uri: 'http://127.0.0.1/callback',
      scope: 'openid accounts',
      ...create,
    });
    expect(await refusalOf(server, request)).toBe('invalid_request');
  });

  it('must name an action where the bank says so', async () => {
    const strict = await startConsentServer({
      environment: { COUNTERSIGN_GRANT_ACTION_REQUIRED: 'true' },
    });
    try {
      const { url } = await scopeRequest(strict.tpp, { scope: 'openid' });
      const refused = await refusalOf(strict.server, { url });
      expect(refused).toBe('invalid_request');
      const { configuration } = strict.tpp;
      expect(configuration.serverMetadata()['grant_management_action_required']).toBe(true);
    } finally {
      await strict.server.stop();
    }
  });
});

describe('A signed request', () => {
  it('manages grants as an unsigned one does', async () => {
    const claims = {
      response_type: 'code',
      client_id: 'dpop-tpp',
      redirect_uri: 'https://dpop-tpp.example.com/callback',
      scope: 'openid',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
      grant_management_action: 'merge',
      grant_id: grantId,
    };
    const request = await new SignJWT(claims)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'oauth-authz-req+jwt' })
      .setIssuer('dpop-tpp')
      .setAudience(server.issuer)
      .setNotBefore('0s')
      .setExpirationTime('1m')
      .sign(key.privateKey);
    const assertion = await clientAssertion({ ...ownKey(), audience: server.issuer });
    const form = { ...asserted(assertion), client_id: 'dpop-tpp', request };
    const { body } = await post(server.fetch(), `${server.issuer}/par`, { form });
    expect(body['error']).toBe('invalid_grant_id');
  });
});

const ownKey = () => ({
  ...{ clientId: 'dpop-tpp', key: key.privateKey, alg: key.alg, kid: key.kid },
});

describe('The grant management endpoint', () => {
  it('is in the metadata, on both hosts', () => {
    const metadata = tpp.configuration.serverMetadata();
    expect(metadata).toMatchObject({
      grant_management_endpoint: `${server.issuer}/grants`,
      grant_management_actions_supported: [...grantActions],
      grant_management_action_required: false,
      mtls_endpoint_aliases: { grant_management_endpoint: `${server.mtlsOrigin}/grants` },
    });
  });

  it('tells foreign and unknown grants in the same words, and only the trail knows', async () => {
    const [foreign, unknown] = [await query(other, grantId), await query(other, 'y'.repeat(32))];
    const words = ({ status, body }: typeof foreign) => [
      status,
      body['error'],
      body['error_description'],
    ];
    expect(words(foreign)).toEqual([404, 'not_found', expect.any(String)]);
    expect(words(unknown)).toEqual(words(foreign));
    expect((await revoke(other, grantId)).status).toBe(404);
    expect((await query(tpp, grantId)).status).toBe(200);
    const [entry] = await auditOf(server, foreign);
    expect(entry).toMatchObject({
      type: 'grant.refused',
      client_id: 'other',
      detail: { reason: 'it is of aisp' },
    });
  });

  it('wants the scope of what is done', async () => {
    const query_ = { scope: 'grant_management_query' };
    const { status, headers, body } = await revoke(tpp, grantId, query_);
    expect([status, body['error']]).toEqual([403, 'insufficient_scope']);
    expect(headers.get('www-authenticate')).toContain('scope="grant_management_revoke"');
    expect((await query(tpp, grantId, { scope: 'grant_management_revoke' })).status).toBe(403);
  });

  it('takes no token for another API, of a customer, of nobody, or none', async () => {
    const request = await scopeRequest(tpp, { scope: 'openid accounts', ...create });
    const { access } = await tokensOf(server, tpp, request);
    const tokens = [access, await tpp.token('accounts'), 'made-up', ''];
    for (const token of tokens) {
      const { status, headers, body } = await query(tpp, grantId, { token });
      expect([status, body['error']]).toEqual([401, 'invalid_token']);
      expect(headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    }
  });

  it('takes a token with its own certificate only', async () => {
    const token = await tpp.token('grant_management_query');
    const stolen = await query(tpp, grantId, { certificate: other.certificate });
    expect(stolen.status).toBe(401);
    const headers = { authorization: `Bearer ${token}` };
    const bare = await send(server.fetch(), `${server.issuer}/grants/${grantId}`, { headers });
    expect(bare.status).toBe(401);
  });

  it('takes a token that is bound to a key, with a proof for this request', async () => {
    const url = `${server.issuer}/token`;
    const assertion = await clientAssertion({ ...ownKey(), audience: server.issuer });
    const { body } = await post(server.fetch(), url, {
      form: {
        ...asserted(assertion),
        grant_type: 'client_credentials',
        scope: 'grant_management_query grant_management_revoke',
      },
      headers: { dpop: await dpopProof({ key, url }) },
    });
    const accessToken = String(body['access_token']);
    const target = `${server.issuer}/grants/${grantId}`;
    const call = async (dpop: string, scheme = 'DPoP') => {
      const headers = { authorization: `${scheme} ${accessToken}`, dpop };
      const answer = await send(server.fetch(), target, { headers });
      return [answer.status, answer.headers.get('www-authenticate')];
    };
    const proof = { key, url: target, method: 'GET', accessToken };
    const good = await dpopProof(proof);
    expect(await call(good)).toEqual([404, null]); // another client's grant
    expect(await call(good)).toEqual([401, 'DPoP error="invalid_dpop_proof"']);
    const elsewhere = await dpopProof({ ...proof, url: `${server.issuer}/grants/z` });
    expect(await call(elsewhere)).toEqual([401, 'DPoP error="invalid_dpop_proof"']);
    const noPoint = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
    for (const jwk of [noPoint, { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }]) {
      const broken = await dpopProof({ ...proof, header: { jwk } });
      expect(await call(broken)).toEqual([401, 'DPoP error="invalid_dpop_proof"']);
    }
    const foreign = await dpopProof({ ...proof, key: await newClientKey() });
    expect(await call(foreign)).toEqual([401, 'DPoP error="invalid_token"']);
    expect((await call(await dpopProof(proof), 'Bearer'))[0]).toBe(401);
  });

  it('answers to GET and DELETE alone', async () => {
    const { status, headers } = await tpp.call('POST', `/grants/${grantId}`, {
      scope: 'grant_management_query',
    });
    expect([status, headers.get('allow')]).toEqual([405, 'GET, DELETE']);
  });
});

describe('A token for the endpoint', () => {
  it('is not given to a customer’s grant, nor with another API’s scope', async () => {
    const resource = `${server.issuer}/grants`;
    const asked = { scope: 'openid grant_management_query', resource };
    expect(await errorOf(asked)).toBe('invalid_target');
    const { configuration } = tpp;
    await expect(
      openid.clientCredentialsGrant(configuration, { scope: 'grant_management_query accounts' }),
    ).rejects.toMatchObject({ error: 'invalid_scope' });
    await expect(
      openid.clientCredentialsGrant(configuration, { scope: 'accounts', resource }),
    ).rejects.toMatchObject({ error: 'invalid_scope' });
  });

  it('does not stand in the way of the default resource', async () => {
    const answer = await openid.clientCredentialsGrant(tpp.configuration, { scope: 'accounts' });
    const { body } = await post(server.fetch(), `${server.issuer}/introspect`, {
      form: { token: answer.access_token },
      headers: {
        authorization: `Basic ${Buffer.from(`bank-rs:${world.serverSecret}`).toString('base64')}`,
      },
    });
    expect(body['aud']).toBe(bankApi);
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { send } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const environment = { COUNTERSIGN_DPOP_NONCE_REQUIRED: 'true' };
const credentials = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

let before: AuthorizationServer;
let during: AuthorizationServer;
let after: AuthorizationServer;
let clients: [before: FapiClient, during: FapiClient, after: FapiClient];

beforeAll(async () => {
  const key = await newClientKey();
  const proofKey = await newClientKey();
  before = await startAuthorizationServer({
    environment,
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
  });
  const { material } = before;
  const digestKey = randomBytes(32);
  const beside = {
    ...before,
    material: { ...material, digestKey, olderDigestKeys: [material.digestKey] },
  };
  during = await startAuthorizationServer({ environment, beside });
  after = await startAuthorizationServer({
    environment,
    beside: { ...before, material: { ...material, digestKey } },
  });
  const at = (server: AuthorizationServer) => fapiClient(server, { id: 'bank-app', key, proofKey });
  clients = [at(before), at(during), at(after)];
});

afterAll(async () => {
  await after.stop();
  await during.stop();
  await before.stop();
});

const ask = (client: FapiClient, nonce?: string) =>
  client.token(credentials, { proof: nonce === undefined ? {} : { claims: { nonce } } });

async function nonceOf(client: FapiClient): Promise<string> {
  return (await ask(client)).headers.get('dpop-nonce') ?? '';
}

it('A DPoP nonce of the old secret is accepted while the new one issues, and not afterwards', async () => {
  const [old, both, later] = clients;
  const issuedBefore = await nonceOf(old);
  const accepted = await ask(both, issuedBefore);
  expect(accepted.status).toBe(200);
  const issuedDuring = accepted.headers.get('dpop-nonce') ?? '';
  expect(issuedDuring).not.toBe(issuedBefore);
  expect((await ask(both, issuedDuring)).status).toBe(200);
  expect((await ask(later, issuedDuring)).status).toBe(200);
  expect((await ask(later, issuedBefore)).body['error']).toBe('use_dpop_nonce');
  expect((await ask(both, `${issuedBefore.slice(0, -2)}xx`)).body['error']).toBe('use_dpop_nonce');
});

it('So it is at the grants, whose nonces are their own', async () => {
  const [old, both, later] = clients;
  const asked = { grant_type: 'client_credentials', scope: 'grant_management_query' };
  const claims = { nonce: await nonceOf(old) };
  const { body } = await old.token(asked, { proof: { claims } });
  const accessToken = String(body['access_token']);
  const call = async ({ proofKey }: FapiClient, at: AuthorizationServer, nonce?: string) => {
    const url = `${at.issuer}/grants/${'x'.repeat(32)}`;
    const own = nonce === undefined ? {} : { nonce };
    const dpop = await dpopProof({ key: proofKey, url, method: 'GET', accessToken, ...own });
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    const answer = await send(at.fetch(), url, { headers });
    return { status: answer.status, nonce: answer.headers.get('dpop-nonce') ?? '' };
  };
  const { status, nonce } = await call(old, before);
  expect(status).toBe(401);
  expect((await call(old, before, nonce)).status).toBe(404);
  expect((await call(both, during, nonce)).status).toBe(404);
  expect((await call(later, after, nonce)).status).toBe(401);
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
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

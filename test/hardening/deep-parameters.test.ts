import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient } from '../support/fapi.ts';
import { publicClient } from '../support/oauth-client.ts';
import { asserted, auditOf, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let key: ClientKey;
/** Nobody has to authenticate to push as this one. */
let app: FapiClient;
let client: FapiClient;

beforeAll(async () => {
  key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [
      publicClient('spa', { [accountsApi]: ['accounts'] }),
      fapiRegistration('bank-app', key),
    ],
  });
  const proofKey = await newClientKey();
  app = fapiClient(server, { id: 'spa', key, proofKey, asserts: false });
  client = fapiClient(server, { id: 'bank-app', key, proofKey });
});

afterAll(() => server.stop());

/** JSON of `depth` objects in each other. */
const nested = (depth: number) => `${'{"userinfo":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;
const details = (depth: number) =>
  `[{"type":"x","a":${'['.repeat(depth - 2)}${']'.repeat(depth - 2)}}]`;

async function expectRefused(answer: Answer, why: string): Promise<void> {
  expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  expect(answer.body['error_description']).toContain(why);
  const [event] = await auditOf(server, answer);
  expect(event).toMatchObject({ outcome: 'refused' });
  expect(event?.detail['reason']).toContain(why);
}

/** Unsigned, as anybody can make it. */
function forged(payload: string): string {
  const part = (text: string) => Buffer.from(text).toString('base64url');
  return `${part(`{"alg":"ES256","kid":"${key.kid}"}`)}.${part(payload)}.AAAA`;
}

const push = (parameters: Record<string, string>) =>
  app.push({ ...app.parameters, ...parameters }, { proof: false });

describe('At /par', () => {
  it.each([9, 1400, 2000])('claims of %i levels are refused', async (depth) => {
    await expectRefused(await push({ claims: nested(depth) }), 'claims is nested too deeply');
  });

  it('claims of eight levels are read, brackets in strings not counted', async () => {
    expect((await push({ claims: nested(8) })).status).toBe(201);
    const text = `\\"${'['.repeat(20)}`;
    const claims = `{"id_token":{"acr":{"value":"${text}"}}}`;
    expect((await push({ claims })).status).toBe(201);
  });

  it.each([9, 1400, 8000])('authorization_details of %i levels are refused', async (depth) => {
    const answer = await push({ authorization_details: details(depth) });
    await expectRefused(answer, 'authorization_details is nested too deeply');
  });

  it('and so are those that are too long', async () => {
    const claims = JSON.stringify({ id_token: { acr: { value: 'x'.repeat(8192) } } });
    await expectRefused(await push({ claims }), 'claims is too long');
    const authorization_details = `[{"type":"${'x'.repeat(8192)}"}]`;
    await expectRefused(await push({ authorization_details }), 'authorization_details is too long');
  });

  it('in a request object too', async () => {
    for (const depth of [9, 1400]) {
      const own = { claims: JSON.parse(nested(depth)) as object };
      const request = forged(`{"claims":${nested(depth)}}`);
      await expectRefused(await client.push({ request }), 'nested too deeply');
      if (depth > 1000) continue;
      const signed = await client.requestObject(own);
      await expectRefused(await client.push({ request: signed }), 'nested too deeply');
    }
    const claims = { id_token: { acr: { value: 'x'.repeat(8192) } } };
    const long = await client.requestObject({ claims });
    await expectRefused(await client.push({ request: long }), 'claims is too long');
    const deep = await client.requestObject({
      authorization_details: JSON.parse(details(9)) as [],
    });
    await expectRefused(await client.push({ request: deep }), 'nested too deeply');
  });
});

describe('A JWT of nobody', () => {
  it('that is deep is refused as a client assertion', async () => {
    const payload = `{"sub":"bank-app","iss":"bank-app","a":${'['.repeat(9000)}${']'.repeat(9000)}}`;
    const form = { grant_type: 'client_credentials', ...asserted(forged(payload)) };
    const answer = await post(server.fetch(), `${server.issuer}/token`, { form });
    await expectRefused(answer, 'client_assertion is nested too deeply');
  });

  it('that is deep is refused as a request at the authorization endpoint', async () => {
    const request = forged(`{"claims":{"userinfo":${'['.repeat(3000)}${']'.repeat(3000)}}}`);
    const query = new URLSearchParams({ client_id: 'spa', request }).toString();
    const answer = await send(server.fetch(), `${server.issuer}/authorize?${query}`);
    expect(answer.status).toBe(400);
    const [event] = await auditOf(server, answer);
    expect(event?.detail['reason']).toContain('request is nested too deeply');
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { Page } from '../support/customer-agent.ts';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { atOnce } from '../support/journey.ts';
import { clientAssertion, asserted, rows } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { printedSeed } from '../support/seed.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';

/** How often each of the following is tried, and how many requests at once each time. */
const rounds = 3;
const requests = 50;

let base: AuthorizationServer;
let network: DatabaseNetwork;
let processes: ServerProcesses;
let both: readonly [AuthorizationServer, AuthorizationServer];
let client: FapiClient;

const random = printedSeed('fapi-concurrency');

beforeAll(async () => {
  const key = await newClientKey();
  base = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
  });
  network = await databaseNetwork(base.database.connection);
  processes = await serverProcesses(base, { DATABASE_URL: network.connectionString });
  both = [(await processes.start()).server, (await processes.start()).server];
  network.delay(() => random.upTo(20));
  client = fapiClient(base, { id: 'bank-app', key, proofKey: await newClientKey() });
});

afterAll(async () => {
  network.delay(() => 0);
  await processes.close();
  await network.close();
  await base.stop();
});

beforeEach(async () => {
  await rows(base, 'DELETE FROM login_throttles');
});

const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

function expectOneSuccess(answers: readonly Answer[], refusal: string): void {
  const seen = answers.map(({ status, body }) => `${String(status)} ${String(body['error'])}`);
  expect(seen.filter((one) => one === '200 undefined')).toHaveLength(1);
  expect(new Set(seen)).toEqual(new Set(['200 undefined', refusal]));
}

describe(`${String(requests)} times at once on two processes`, () => {
  it('one client assertion is good once', async () => {
    for (let round = 0; round < rounds; round += 1) {
      const { key, kid, alg } = { ...client.key, key: client.key.privateKey };
      const audience = base.issuer;
      const assertion = await clientAssertion({ clientId: client.id, key, kid, alg, audience });
      const answers = await atOnce(both, requests, (at) =>
        client.token({ ...form, ...asserted(assertion) }, { at, assertion: false }),
      );
      expectOneSuccess(answers, '401 invalid_client');
    }
  });

  it('one DPoP proof is good once', async () => {
    for (let round = 0; round < rounds; round += 1) {
      const url = `${base.issuer}/token`;
      const proof = await dpopProof({ key: client.proofKey, url });
      const answers = await atOnce(both, requests, (at) => client.token(form, { at, proof }));
      expectOneSuccess(answers, '400 invalid_dpop_proof');
    }
  });

  it('one request_uri leads to one code, for a customer who has allowed everything before', async () => {
    const agent = createCustomerAgent(base);
    await client.authorize(client.parameters, agent);
    for (let round = 0; round < rounds; round += 1) {
      const url = await client.pushed();
      const pages = await atOnce(both, requests, (at) => agent.fork(at).open(url));
      expect(pages.filter(isArrival)).toHaveLength(1);
      const codes = await rows(
        base,
        `SELECT count(*)::int AS n FROM artifacts WHERE kind = 'AuthorizationCode'`,
      );
      expect(codes[0]?.['n']).toBe(round + 2); // and the one of the first visit
      const others = pages.filter((page) => !isArrival(page)).map(errorOf);
      expect(others.filter((error) => error !== 'invalid_request_uri')).toEqual([]);
    }
  });
});

function isArrival({ url }: Page): boolean {
  return new URL(url).searchParams.has('code');
}

/** The error that the client is told; who comes after the use is told by a page, as nobody knows where to send them. */
function errorOf({ url, html }: Page): string {
  const told = new URL(url).searchParams.get('error');
  return (
    told ?? (html.includes('We can’t carry on with this request') ? 'invalid_request_uri' : html)
  );
}

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import type { CustomerAgent, Page } from '../support/customer-agent.ts';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { atOnce, authorize } from '../support/journey.ts';
import { oauthClient, publicClient, tokensOf } from '../support/oauth-client.ts';
import type { Sender } from '../support/oauth-client.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { asserted, clientAssertion, post, rows } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { printedSeed } from '../support/seed.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';
import { introspect } from '../support/tokens.ts';
import { withinASecond } from '../support/within-a-second.ts';

/** How often each of the following is tried, and how many requests at once each time. */
const rounds = 3;
const requests = 50;
/** Pages take longer. */
const pageRounds = 2;

/** Builds requests and looks at the database; all that is measured goes to the two processes. */
let base: AuthorizationServer;
let network: DatabaseNetwork;
let processes: ServerProcesses;
let both: readonly [AuthorizationServer, AuthorizationServer];
let robot: { kid: string; key: CryptoKey };

const random = printedSeed('concurrency');

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  robot = { kid: await calculateJwkThumbprint(jwk), key: privateKey };
  base = await startAuthorizationServer({
    clients: [
      publicClient('spa', { [accountsApi]: ['accounts'], [opaqueApi]: ['statements'] }),
      {
        metadata: {
          client_id: 'robot',
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ ...jwk, kid: robot.kid }] },
        },
        permissions: { [accountsApi]: ['accounts'] },
      },
    ],
  });
  network = await databaseNetwork(base.database.connection);
  processes = await serverProcesses(base, { DATABASE_URL: network.connectionString });
  both = [(await processes.start()).server, (await processes.start()).server];
  network.delay(() => random.upTo(20));
});

afterAll(async () => {
  network.delay(() => 0);
  await processes.close();
  await network.close();
  await base.stop();
});

beforeEach(async () => {
  // Fifty logins at once are slowed down, which is right, and not what these tests are about.
  await rows(base, 'DELETE FROM login_throttles');
});

const senders = {
  web: () => ({
    id: 'web',
    redirectUri: 'https://web.example.com/callback',
    secret: base.secrets.web,
  }),
  spa: () => ({ id: 'spa', redirectUri: 'https://spa.example.com/callback' }),
} as const satisfies Record<string, () => Sender>;

const resources = {
  jwt: { resource: accountsApi, scope: 'openid accounts' },
  opaque: { resource: opaqueApi, scope: 'openid statements' },
} as const;
type Format = keyof typeof resources;

/** Introspection is the resource server's, so each format has its own. */
const resourceServerOf = { jwt: 'accounts-rs', opaque: 'opaque-rs' } as const;

function configurationOf(id: 'web' | 'spa'): Promise<openid.Configuration> {
  const authentication = id === 'web' ? openid.ClientSecretBasic(base.secrets.web) : openid.None();
  return discover(base, { id, authentication });
}

async function newCode(id: 'web' | 'spa', format: Format) {
  const parameters = { redirect_uri: senders[id]().redirectUri, ...resources[format] };
  return authorize(base, await configurationOf(id), { parameters });
}

/** A request as each of the two processes gets it, on connections that are open already. */
function twins<T>(make: (at: AuthorizationServer) => T): (at: AuthorizationServer) => T {
  const made = new Map(both.map((at) => [at, make(at)]));
  return (at) => made.get(at) ?? make(at);
}

function expectOneSuccess(answers: readonly Answer[], refusal: string): Answer {
  const successes = answers.filter(({ status }) => status === 200);
  const refusals = answers.filter(({ status }) => status !== 200);
  expect(new Set(refusals.map(({ status, body }) => `${status} ${String(body['error'])}`))).toEqual(
    new Set([refusal]),
  );
  expect(successes).toHaveLength(1);
  return successes[0] as Answer;
}

/** Everything that one answer carried is dead on both processes within a second. */
async function expectNothingWorks(answer: Answer, format: Format, sender: Sender): Promise<void> {
  const { access, refresh } = tokensOf(answer);
  await withinASecond(async () => {
    for (const at of both) {
      const state = await introspect(base, access, { as: resourceServerOf[format], at });
      expect(state.body).toEqual({ active: false });
      expect(await oauthClient(at, sender).refresh(refresh)).toMatchObject({
        status: 400,
        body: { error: 'invalid_grant' },
      });
    }
  });
}

describe.each(['jwt', 'opaque'] as const)('With %s access tokens', (format) => {
  it.each(['web', 'spa'] as const)(
    `a code of "%s" that is redeemed ${requests} times at once on two processes gives tokens once, and those end`,
    async (id) => {
      const sender = senders[id]();
      const client = twins((at) => oauthClient(at, sender));
      for (let round = 0; round < rounds; round += 1) {
        const authorization = await newCode(id, format);
        const answers = await atOnce(both, requests, (at) => client(at).exchange(authorization));
        const success = expectOneSuccess(answers, '400 invalid_grant');
        await expectNothingWorks(success, format, sender);
      }
    },
  );

  it(`a rotating refresh token used ${requests} times at once on two processes is used once, and its family ends`, async () => {
    const sender = senders.spa();
    const client = twins((at) => oauthClient(at, sender));
    for (let round = 0; round < rounds; round += 1) {
      const first = await oauthClient(base, sender).exchange(await newCode('spa', format));
      const { refresh } = tokensOf(first);
      const answers = await atOnce(both, requests, (at) => client(at).refresh(refresh));
      const success = expectOneSuccess(answers, '400 invalid_grant');
      await expectNothingWorks(success, format, sender);
      await expectNothingWorks(first, format, sender);
    }
  });
});

describe('A client assertion', () => {
  it(`that is presented ${requests} times at once on two processes is good once`, async () => {
    const fetcher = twins((at) => at.fetch());
    for (let round = 0; round < rounds; round += 1) {
      const audience = base.issuer;
      const assertion = await clientAssertion({
        clientId: 'robot',
        alg: 'ES256',
        audience,
        ...robot,
      });
      const form = { grant_type: 'client_credentials', scope: 'accounts', ...asserted(assertion) };
      const answers = await atOnce(both, requests, (at) =>
        post(fetcher(at), `${at.issuer}/token`, { form }),
      );
      expectOneSuccess(answers, '401 invalid_client');
    }
  });
});

async function begin(agent: CustomerAgent): Promise<Page> {
  const redirectUri = senders.web().redirectUri;
  const { url } = await authorizationRequest(await configurationOf('web'), {
    redirect_uri: redirectUri,
    ...resources.jwt,
  });
  return agent.open(url);
}

const credentials = () => ({
  username: base.customer.username,
  password: base.customer.password,
  action: 'login',
});

/** What is shown to a second click: a page in our words, and nothing that could be taken for a failure of ours. */
function expectCleanPages(pages: readonly Page[]): void {
  for (const { status, html, headers } of pages) {
    // 429: more logins at once than the throttle lets through.
    expect([200, 400, 409, 429]).toContain(status);
    expect(headers.get('content-type')).toContain('text/html');
    expect(html).toContain('<html lang="en"');
  }
}

function isConsent({ html }: Page): boolean {
  return html.includes('value="allow"');
}

function isArrival({ url }: Page): boolean {
  return url.startsWith(senders.web().redirectUri) && new URL(url).searchParams.has('code');
}

function expectOnePage(pages: readonly Page[], isSuccess: (page: Page) => boolean): Page {
  expectCleanPages(pages.filter((page) => !isSuccess(page)));
  const successes = pages.filter(isSuccess);
  expect(successes).toHaveLength(1);
  return successes[0] as Page;
}

/** The browser stops before it follows the redirect that goes on after a form; `resume` is where it leads. */
function stopBeforeResume(at: AuthorizationServer) {
  const seen = { resume: '' };
  const stopping: AuthorizationServer = {
    ...at,
    fetch: (certificate) => {
      const real = at.fetch(certificate);
      return (async (url: string, init?: RequestInit) => {
        if (!/\/authorize\/[\w-]+$/.test(url)) return real(url, init);
        seen.resume = url;
        return new Response('');
      }) as typeof fetch;
    },
  };
  return { seen, stopping };
}

describe('An interaction', () => {
  const many = (agent: CustomerAgent, act: (tab: CustomerAgent) => Promise<Page>) =>
    atOnce(both, requests, (at) => act(agent.fork(at)));

  it(`takes a login and then a consent that are submitted ${requests} times each, once each`, async () => {
    for (let round = 0; round < pageRounds; round += 1) {
      const agent = createCustomerAgent(base);
      const login = await begin(agent);
      const pages = await many(agent, (tab) => tab.submit(login, credentials()));
      expectOnePage(pages, isConsent);

      const patient = createCustomerAgent(base);
      await rows(base, 'DELETE FROM login_throttles');
      const consent = await patient.submit(await begin(patient), credentials());
      const answered = await many(patient, (tab) => tab.submit(consent, { decision: 'allow' }));
      expectOnePage(answered, isArrival);
    }
  });

  it(`goes on once after the login and once after the consent, though ${requests} requests ask it to`, async () => {
    for (let round = 0; round < pageRounds; round += 1) {
      const { seen, stopping } = stopBeforeResume(base);
      const agent = createCustomerAgent(stopping);
      await agent.submit(await begin(agent), credentials());
      const afterLogin = await many(agent, (tab) => tab.open(seen.resume));
      expectOnePage(afterLogin, isConsent);

      const patient = createCustomerAgent(base);
      const consent = await patient.submit(await begin(patient), credentials());
      const stopped = createCustomerAgent(stopping, patient.jar);
      await stopped.submit(consent, { decision: 'allow' });
      const afterConsent = await many(stopped, (tab) => tab.open(seen.resume));
      expectOnePage(afterConsent, isArrival);
    }
  });
});

import * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { PolicyRule } from '../../src/rate-limits/policy.ts';
import { rawForm, rawRequest, sendRaw } from '../support/attack.ts';
import { startConsentServer, plainConsents } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { atOnce } from '../support/journey.ts';
import { basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { limitItems, policyFile } from '../support/rate-limits.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';

const minute = { windowSeconds: 60, whenStoreIsDown: 'local' } as const;

const rules: Partial<PolicyRule>[] = [
  {
    ...{ name: 'client', per: 'client' },
    groups: ['token', 'introspection', 'consents', 'grants', 'api-keys', 'events'],
    ...{ counts: 'requests', algorithm: 'token-bucket', limit: 20, slack: 0, ...minute },
  },
  {
    ...{ name: 'failures', groups: ['token', 'introspection', 'consents'], per: 'address' },
    ...{ counts: 'failures', algorithm: 'fixed-window', limit: 60, slack: 0, ...minute },
  },
  {
    ...{ name: 'pages', groups: ['authorization', 'pages'], per: 'address', counts: 'requests' },
    ...{ algorithm: 'sliding-window', limit: 30, slack: 0, ...minute },
  },
  {
    ...{ name: 'exact', groups: ['revocation'], per: 'client', counts: 'requests' },
    ...{ algorithm: 'fixed-window', limit: 20, slack: 0, windowSeconds: 86_400 },
  },
  {
    ...{ name: 'lax', groups: ['metadata'], per: 'everyone', counts: 'requests' },
    ...{ algorithm: 'sliding-window', limit: 100, slack: 10, windowSeconds: 3600 },
  },
];

let world: ConsentServer;
let server: AuthorizationServer;
let policy: Awaited<ReturnType<typeof policyFile>>;
let processes: ServerProcesses;
let environment: Record<string, string>;

/** Everything in this process lives later: nothing that was counted before is left. */
function skip(seconds: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: systemClock.now().getTime() + seconds * 1000 });
}

beforeAll(async () => {
  policy = await policyFile(rules);
  environment = {
    COUNTERSIGN_RATE_LIMIT_POLICY: policy.file,
    COUNTERSIGN_RATE_LIMIT_STORE: 'postgres',
  };
  world = await startConsentServer({ environment });
  ({ server } = world);
  processes = await serverProcesses(server, environment);
});

afterAll(async () => {
  await processes.close();
  await server.stop();
  await policy.remove();
});

beforeEach(() => {
  skip(180);
});

function token(at = server, secret = server.secrets.web, client = 'web'): Promise<Answer> {
  const form = { grant_type: 'client_credentials', scope: 'accounts', resource: 'x' };
  return post(at.fetch(), `${at.issuer}/token`, { form, headers: basic(client, secret) });
}

/** A request of a client that authenticates and asks nothing sensible: it costs the limit and nothing else. */
function introspection(at = server, secret = world.serverSecret, client = 'bank-rs') {
  const headers = basic(client, secret);
  return post(at.fetch(), `${at.issuer}/introspect`, { form: { token: 'x' }, headers });
}

async function statuses(count: number, ask: () => Promise<{ status: number }>) {
  const seen: number[] = [];
  for (let i = 0; i < count; i += 1) seen.push((await ask()).status);
  return seen;
}

const times = (status: number, seen: readonly number[]) =>
  seen.filter((one) => one === status).length;

describe('A client', () => {
  it('is told how much is left, then to come back later, and may when that time has come', async () => {
    const first = await introspection();
    expect(limitItems(first.headers.get('ratelimit-policy'))).toEqual({ client: { q: 20, w: 60 } });
    expect(limitItems(first.headers.get('ratelimit'))['client']).toMatchObject({ r: 19 });
    expect(times(200, await statuses(25, () => introspection()))).toBeLessThanOrEqual(20);
    const refused = await introspection();
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ error: 'too_many_requests' });
    expect(refused.headers.get('cache-control')).toBe('no-store');
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(0);
    expect(limitItems(refused.headers.get('ratelimit'))['client']).toEqual({ r: 0, t: wait });
    expect((await introspection(server, world.serverSecret, 'opaque-bank-rs')).status).toBe(200);
    skip(wait);
    expect((await introspection()).status).toBe(200);
  });

  it('is not kept out by others who use its name', async () => {
    const guesses = await statuses(50, () => introspection(server, 'wrong'));
    expect(times(401, guesses)).toBe(50);
    const own = await introspection();
    expect(own.status).toBe(200);
    expect(limitItems(own.headers.get('ratelimit'))['client']).toMatchObject({ r: 19 });
  });

  it('learns from no header that a name is a client’s', async () => {
    const known = await introspection(server, 'wrong');
    const unknown = await introspection(server, 'wrong', 'nobody');
    const names = ({ headers }: Answer) => Object.keys(limitItems(headers.get('ratelimit')));
    expect(names(known)).toEqual(['failures']);
    expect(names(unknown)).toEqual(['failures']);
  });

  it('meets the limit at our own APIs too, in a problem document', async () => {
    const scope = 'accounts';
    const { access_token } = await openid.clientCredentialsGrant(world.tpp.configuration, {
      scope,
    });
    const read = () => world.tpp.call('GET', `${plainConsents}/unknown`, { token: access_token });
    const seen = await statuses(25, read);
    expect(times(404, seen)).toBeLessThanOrEqual(20);
    const refused = await read();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(refused.body).toMatchObject({ status: 429, code: 'too_many_requests' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('fills the audit trail at none of our own APIs', async () => {
    const tokenFor = async (scope: string) =>
      (await openid.clientCredentialsGrant(world.tpp.configuration, { scope })).access_token;
    const token = await tokenFor('accounts');
    const grants = await tokenFor('grant_management_query');
    await statuses(25, () => world.tpp.call('GET', `${plainConsents}/unknown`, { token }));
    await server.running.app.audit.flush();
    await stored(server, 'DELETE FROM audit_events');
    const refused = [
      await world.tpp.call('GET', `${plainConsents}/unknown`, { token }),
      await world.tpp.call('GET', '/api-keys/v1/keys', { token }),
      await world.tpp.call('POST', '/events/v1/poll', { token, body: {} }),
      await world.tpp.call('GET', '/grants/unknown', { token: grants }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    expect(refused.map(({ headers }) => headers.get('www-authenticate'))).toEqual(
      refused.map(() => null), // no other credentials would help
    );
    await server.running.app.audit.flush();
    expect(await stored(server, 'SELECT type, detail FROM audit_events')).toEqual([]);
  });

  it('is counted once for each refusal', async () => {
    const counted = async () => {
      const text = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
      const name = '{endpoint="introspection",error="too_many_requests"} ';
      const line = text.split('\n').find((one) => one.includes(name));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    const before = await counted();
    const seen = await statuses(25, () => introspection());
    expect(await counted()).toBe(before + times(429, seen));
  });

  it('is told of in the audit trail once, and refused any number of times', async () => {
    await server.running.app.audit.flush(); // what the tests before have told
    await stored(server, `DELETE FROM audit_events WHERE type = 'rate_limit.exceeded'`);
    await statuses(30, () => introspection(server, world.serverSecret, 'opaque-bank-rs'));
    await server.running.app.audit.flush();
    const events = await stored<{ client_id: string; detail: { rule: string } }>(
      server,
      `SELECT client_id, detail FROM audit_events WHERE type = 'rate_limit.exceeded'`,
    );
    expect(events).toMatchObject([{ client_id: 'opaque-bank-rs', detail: { rule: 'client' } }]);
  });
});

describe('An address', () => {
  it('that fails too often is refused whatever it says, in the words of the endpoint', async () => {
    expect(times(401, await statuses(60, () => token(server, 'wrong')))).toBe(60);
    const refused = await token(server, server.secrets.web);
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ error: 'too_many_requests' });
    const consent = await world.tpp.call('GET', `${plainConsents}/unknown`, { token: 'x' });
    expect(consent.status).toBe(429);
    expect(consent.headers.get('content-type')).toContain('application/problem+json');
  });

  it('does not fail by what its proven clients do', async () => {
    await statuses(15, () => introspection());
    const failed = await introspection(server, 'wrong');
    expect(limitItems(failed.headers.get('ratelimit'))['failures']).toMatchObject({ r: 59 });
  });

  it('gets a page where a browser asks', async () => {
    const open = () =>
      send(server.fetch(), `${server.issuer}/authorize?client_id=x`, {
        headers: { accept: 'text/html' },
      });
    await statuses(30, open);
    const refused = await open();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toContain('text/html');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.text).toContain('<h1>');
  });

  it.each([
    '/TOKEN',
    '/token/',
    '//token',
    '/./token',
    '/x/../token',
    '/%74oken',
    '/token%2f',
    '/token;x=1',
    '/token%00',
    '/toKen?',
    '/token#x',
    '\\token',
    'https://localhost/token',
  ])('gets no further attempt by %s', async (path) => {
    await statuses(60, () => token(server, 'wrong'));
    const headers = basic('web', server.secrets.web);
    const body = 'grant_type=client_credentials&scope=accounts';
    const { answers } = await sendRaw(server, rawForm(server, path, { body, headers }));
    expect([400, 404, 421, 429]).toContain(answers[0]?.status);
  });

  it.each([
    '/AUTHORIZE',
    '/authorize/',
    '//authorize',
    '/Interaction/x',
    '/unknown',
    '/%61uthorize',
  ])('counts for pages by %s as well', async (path) => {
    await statuses(30, () => send(server.fetch(), `${server.issuer}/authorize?client_id=x`));
    const { answers } = await sendRaw(server, rawRequest(server, `GET ${path}`));
    expect(answers[0]?.status === 429 || answers[0]?.status === 404).toBe(true);
    expect(answers[0]?.headers['set-cookie']).toBeUndefined();
  });
});

describe('Two processes on one store', () => {
  it('admit the limit together and no more, where the store is asked each time', async () => {
    const [one, two] = [(await processes.start()).server, (await processes.start()).server];
    // Nobody else asks here: what counted by the clock of the tests would be in the future of these.
    const seen = await atOnce([one, two], 60, (at) => {
      const headers = basic('bank-rs', world.serverSecret);
      return post(at.fetch(), `${at.issuer}/revoke`, { form: { token: 'x' }, headers });
    });
    expect(
      times(
        200,
        seen.map(({ status }) => status),
      ),
    ).toBe(20);
    expect(
      times(
        429,
        seen.map(({ status }) => status),
      ),
    ).toBe(40);
  });

  it('admit no more than the limit and the slack of one where they tell it afterwards', async () => {
    const [one, two] = [(await processes.start()).server, (await processes.start()).server];
    const ask = (at: AuthorizationServer) => send(at.fetch(), `${at.issuer}/jwks`);
    // A process that has just started may take longer for its first word with the store than the store is given.
    const first = [await ask(one), await ask(two)];
    const seen = [...first, ...(await atOnce([one, two], 160, ask))];
    const admitted = times(
      200,
      seen.map(({ status }) => status),
    );
    expect(admitted).toBeGreaterThanOrEqual(100);
    expect(admitted).toBeLessThanOrEqual(110);
    expect((await ask(one)).status).toBe(429);
  });
});

it('The store holds digests, not who is counted', async () => {
  await introspection();
  const rows = await stored<{ row: string }>(server, 'SELECT r::text AS row FROM rate_limits r');
  expect(rows.length).toBeGreaterThan(0);
  for (const { row } of rows) expect(row).not.toMatch(/bank-rs|127\.0\.0\.1/);
});

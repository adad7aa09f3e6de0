import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { rawForm, sendRaw } from '../support/attack.ts';
import {
  auditedAs,
  comparable,
  ignored,
  issuedByEngine,
  lineOf,
  oddApi,
  plainPairs,
  startMachineServer,
  tokenIn,
  withoutName,
} from '../support/machine-tokens.ts';
import type { MachineServer } from '../support/machine-tokens.ts';
import { post, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { limitItems } from '../support/rate-limits.ts';
import { operatorBeside } from '../support/key-ring.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { kidOf } from '../support/signing-world.ts';

const within = { timeout: 10_000, interval: 20 };

let machines: MachineServer;
let server: AuthorizationServer;

beforeAll(async () => {
  machines = await startMachineServer();
  ({ server } = machines);
});

afterAll(() => machines.stop());

describe('A token for a machine with a certificate', () => {
  it('is issued without the engine, bound to the certificate', async () => {
    const id = machines.fresh();
    let answer: Answer | undefined;
    const engine = await issuedByEngine(id, async () => {
      answer = await machines.ask({ pairs: plainPairs(id) });
    });
    expect([answer?.status, engine]).toEqual([200, 0]);
    expect(tokenIn(String(answer?.body['access_token'])).claims).toEqual({
      sub: id,
      client_id: id,
      scope: 'accounts',
      iss: server.issuer,
      aud: accountsApi,
      cnf: { 'x5t#S256': expect.any(String) as unknown },
    });
  });

  it('is what the engine would have issued: in claims, headers, audit, log and metrics', async () => {
    const [own, engines] = [machines.fresh(), machines.fresh()];
    const before = await counted();
    const mine = await machines.ask({ pairs: plainPairs(own) });
    const between = await counted();
    const theirs = await machines.ask({ pairs: [...plainPairs(engines), ignored] });
    const after = await counted();
    expect(withoutName(comparable(mine), own)).toEqual(withoutName(comparable(theirs), engines));
    expect(withoutName(await auditedAs(server, mine), own)).toEqual(
      withoutName(await auditedAs(server, theirs), engines),
    );
    expect(between.map((count, at) => count - (before[at] ?? 0))).toEqual([1, 1]);
    expect(after.map((count, at) => count - (between[at] ?? 0))).toEqual([1, 1]);
    const [line, ...others] = await Promise.all(
      [mine, theirs].map(({ headers }) => lineOf(server, headers.get('x-request-id'))),
    );
    expect(line).toMatchObject({ route: 'token', types: ['token.issued'] });
    expect(others).toEqual([line]);
  });

  it('can be introspected and revoked as any other', async () => {
    const { body } = await machines.ask({ pairs: plainPairs(machines.fresh()) });
    const token = String(body['access_token']);
    const id = String(decodeJwt(token)['client_id']);
    const form = { token, client_id: id };
    const revoked = await post(server.fetch(server.tpp), `${server.mtlsOrigin}/revoke`, { form });
    expect(revoked.status).toBe(200);
    const kept = await rows(server, 'SELECT 1 FROM revoked_tokens');
    expect(kept).toHaveLength(1);
  });

  it('is for its own client where several have the same certificate', async () => {
    const [one, two] = [machines.fresh(), machines.fresh()];
    const answers = await Promise.all(
      [one, two].map((id) => machines.ask({ pairs: plainPairs(id) })),
    );
    const subjects = answers.map(({ body }) => decodeJwt(String(body['access_token'])).sub);
    expect(subjects).toEqual([one, two]);
  });
});

/** Requests of the one and the other way, and how often the engine was told of a token. */
async function counted(): Promise<number[]> {
  const { text } = await send(fetch, `${server.operationsOrigin}/metrics`);
  const value = (line: RegExp) => Number(line.exec(text)?.[1] ?? 0);
  return [
    value(
      /^countersign_tokens_issued_total\{grant_type="client_credentials",format="jwt"\} (\d+)/m,
    ),
    value(
      /^countersign_http_request_seconds_count\{route="token",method="POST",status="200"\} (\d+)/m,
    ),
  ];
}

describe('The body of a plain request', () => {
  const tls = () => ({ cert: server.tpp.certificatePem, key: server.tpp.privateKeyPem });
  const bodyOf = (id: string) => new URLSearchParams(plainPairs(id)).toString();
  const keep = { Host: 'localhost', Connection: 'keep-alive' };

  it('is read to its end: the next request on the connection is another one', async () => {
    const ids = [machines.fresh(), machines.fresh(), machines.fresh()];
    const headers = { ...keep, Host: new URL(server.mtlsOrigin).host };
    const bytes = ids
      .map((id, at) => {
        const last = at === ids.length - 1 ? { Connection: 'close' } : {};
        return rawForm(server, '/token', { body: bodyOf(id), headers: { ...headers, ...last } });
      })
      .join('');
    const options = { listener: 'mtls', tls: tls(), patienceMs: 10_000 } as const;
    const { answers } = await sendRaw(server, bytes, options);
    const names = answers.map(({ body }) =>
      decodeJwt((JSON.parse(body) as { access_token: string }).access_token),
    );
    expect(names.map(({ sub }) => sub)).toEqual(ids);
  });

  it.each([
    ['shorter than it says', 10],
    ['longer than it says', -10],
  ])('that is %s is nobody’s', async (_what, more) => {
    const body = bodyOf(machines.fresh());
    const host = new URL(server.mtlsOrigin).host;
    const headers = { Host: host, 'Content-Length': String(body.length + more) };
    const bytes = rawForm(server, '/token', { body, headers });
    const { answers } = await sendRaw(server, bytes, {
      listener: 'mtls',
      tls: tls(),
      patienceMs: 500,
    });
    expect(answers.filter(({ status }) => status === 200)).toEqual([]);
  });

  it('that never comes, as the caller hangs up, is the caller’s fault', async () => {
    const headers = { Host: new URL(server.mtlsOrigin).host, 'Content-Length': '77' };
    const bytes = rawForm(server, '/token', { body: '', headers });
    await sendRaw(server, bytes, { listener: 'mtls', tls: tls(), patienceMs: 500 });
    const line = await vi.waitFor(async () => {
      const lines = await server.log.lines();
      const hungUp = lines.find(
        (one) => one.message === 'Request' && JSON.stringify(one).includes('hung up'),
      );
      expect(hungUp).toBeDefined();
      return hungUp;
    }, within);
    expect(line).toMatchObject({ status: 400, path: '/token' });
  });
});

describe('The limit of a client', () => {
  it('counts each of its requests once, and refuses in the engine’s words', async () => {
    const statuses: number[] = [];
    let refused: Answer | undefined;
    for (let turn = 0; turn < 7; turn += 1) {
      const answer = await machines.ask({ pairs: plainPairs('often') });
      statuses.push(answer.status);
      if (answer.status !== 200) refused ??= answer;
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(refused?.body).toMatchObject({ error: 'too_many_requests' });
    expect(limitItems(refused?.headers.get('ratelimit') ?? '')['client']).toMatchObject({ r: 0 });
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('What an operator changes', () => {
  const statusOf = async (id: string, more: [string, string][] = []) =>
    (await machines.ask({ pairs: [...plainPairs(id), ...more] })).status;
  let beside: AuthorizationServer;

  beforeAll(async () => {
    beside = await startAuthorizationServer({ beside: server });
  });

  afterAll(() => beside.stop());

  it('beside this process is true of the next tokens: a client is suspended', async () => {
    const [id, ...later] = [machines.fresh(), machines.fresh(), machines.fresh()];
    expect(await statusOf(id)).toBe(200);
    await beside.running.app.clients.setStatus(id, 'suspended');
    await vi.waitUntil(async () => (await statusOf(id)) !== 200, within);
    expect(await statusOf(id, [ignored])).toBe(401);
    expect(await Promise.all(later.map((other) => statusOf(other)))).toEqual([200, 200]);
  });

  it('beside this process is true of the next tokens: a permission is taken', async () => {
    const id = machines.fresh();
    expect(await statusOf(id)).toBe(200);
    await beside.running.app.clients.setPermission(id, accountsApi, ['payments']);
    await vi.waitUntil(async () => (await statusOf(id)) !== 200, within);
    expect(await statusOf(id, [ignored])).toBe(400);
  });

  it('beside this process is true of the next tokens: a resource server wants other ones', async () => {
    const { resourceServers } = beside.running.app;
    const audience = await resourceServers.find(oddApi);
    if (audience === undefined) throw new Error('there is no such resource server');
    const pairs = (id: string): [string, string][] => [
      ...plainPairs(id).slice(0, 2),
      ['scope', 'read'],
      ['resource', oddApi],
    ];
    const ask = async () => (await machines.ask({ pairs: pairs(machines.fresh()) })).body;
    expect(await ask()).toMatchObject({ expires_in: 61 });
    await resourceServers.save({ ...audience, accessTokenTtlSeconds: 62 });
    await vi.waitUntil(async () => (await ask())['expires_in'] === 62, within);
    await resourceServers.save({ ...audience, accessTokenFormat: 'opaque' });
    await vi.waitUntil(async () => !String((await ask())['access_token']).includes('.'), within);
    await resourceServers.delete(oddApi);
    await vi.waitUntil(async () => (await ask())['error'] === 'invalid_target', within);
  });

  it('of the keys is true of the next tokens', async () => {
    const operator = operatorBeside(server);
    try {
      const { kid } = await operator.rotation.rotate('RS256');
      const signer = async (more: [string, string][] = []) => {
        const { body } = await machines.ask({ pairs: [...plainPairs(machines.fresh()), ...more] });
        return kidOf(String(body['access_token']));
      };
      await vi.waitUntil(async () => (await signer()) === kid, within);
      expect(await signer([ignored])).toBe(kid);
    } finally {
      await operator.close();
    }
  });
});

describe('The grants of a client', () => {
  const scope = 'grant_management_query';
  const asksFor = (id: string, more: [string, string][]): [string, string][] => [
    ...plainPairs(id).slice(0, 2),
    ['scope', scope],
    ...more,
  ];

  it.each([
    [
      'are what a scope of theirs is about, also where a resource server has one of that name',
      accountsApi,
    ],
    ['have the endpoint that they have, also where a resource server calls itself so', undefined],
  ])('%s', async (_what, identifier) => {
    const { resourceServers, clients } = server.running.app;
    const named = identifier ?? `${server.issuer}/grants`;
    const own = await resourceServers.find(accountsApi);
    if (own === undefined) throw new Error('there is no resource server');
    const introspectionClientId = identifier && own.introspectionClientId;
    const scopes = { ...own.scopes, [scope]: { en: 'See grants' } };
    const changed = { ...own, identifier: named, introspectionClientId, scopes };
    await resourceServers.save({ ...changed, source: 'operator' });
    const id = machines.fresh();
    await clients.setPermission(id, named, ['accounts', scope]);
    const more: [string, string][] = identifier === undefined ? [['resource', named]] : [];
    await vi.waitUntil(async () => (await resourceServers.find(named))?.scopes[scope], within);
    const issued = await issuedByEngine(id, async () => {
      const { body } = await machines.ask({ pairs: asksFor(id, more) });
      expect(body).toMatchObject({
        scope,
        access_token: expect.not.stringContaining('.') as unknown,
      });
    });
    expect(issued).toBe(1);
  });
});

import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { rawForm, sendRaw } from '../support/attack.ts';
import {
  auditedAs,
  comparable,
  ignored,
  issuedByEngine,
  plainPairs,
  startMachineServer,
  tokenIn,
  withoutName,
} from '../support/machine-tokens.ts';
import type { MachineServer } from '../support/machine-tokens.ts';
import { post, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { limitItems } from '../support/rate-limits.ts';
import { accountsApi } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

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
    const engine = await issuedByEngine(async () => {
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
    expect(await lineOf(mine)).toEqual(await lineOf(theirs));
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

async function lineOf({ headers }: Answer) {
  const lines = await server.log.lines();
  const found = lines.filter(
    (line) => line.message === 'Request' && line['requestId'] === headers.get('x-request-id'),
  );
  expect(found).toHaveLength(1);
  const { route, path, status, listener, reason, events } = (found[0] ?? {}) as Record<
    string,
    unknown
  >;
  const types = (events as { type: string }[] | undefined)?.map(({ type }) => type);
  return { route, path, status, listener, reason, types };
}

describe('The body of a plain request', () => {
  const tls = () => ({ cert: server.tpp.certificatePem, key: server.tpp.privateKeyPem });
  const bodyOf = (id: string) => new URLSearchParams(plainPairs(id)).toString();
  const keep = { Host: 'localhost', Connection: 'keep-alive' };

  it('is read to its end: the next request on the connection is another one', async () => {
    const ids = [machines.fresh(), machines.fresh(), machines.fresh()];
    const headers = { ...keep, Host: new URL(server.mtlsOrigin).host };
    const bytes = ids
      .map((id) => rawForm(server, '/token', { body: bodyOf(id), headers }))
      .join('');
    const options = { listener: 'mtls', tls: tls(), patienceMs: 1500 } as const;
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
    await sendRaw(server, bytes, { listener: 'mtls', tls: tls(), patienceMs: 50 });
    const line = await vi.waitFor(async () => {
      const lines = await server.log.lines();
      const hungUp = lines.find(
        (one) => one.message === 'Request' && JSON.stringify(one).includes('hung up'),
      );
      expect(hungUp).toBeDefined();
      return hungUp;
    });
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

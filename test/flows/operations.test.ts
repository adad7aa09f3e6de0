import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

async function scrape(): Promise<string> {
  return (await fetch(`${server.operationsOrigin}/metrics`)).text();
}

/** The value of one time series; undefined when there is none. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

describe('The operations port', () => {
  it('says that the server is alive and ready', async () => {
    expect((await fetch(`${server.operationsOrigin}/livez`)).status).toBe(200);
    const ready = await fetch(`${server.operationsOrigin}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ ready: true, checks: { server: 'ok', database: 'ok' } });
  });

  it('counts issued tokens, refusals and the time that requests took', async () => {
    const ask = (scope: string) =>
      server.fetch(server.tpp)(`${server.mtlsOrigin}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: 'tpp',
          resource: accountsApi,
          scope,
        }),
      });
    expect((await ask('accounts')).status).toBe(200);
    expect((await ask('admin')).status).toBe(400);
    const text = await scrape();
    const issued = 'countersign_tokens_issued_total{grant_type="client_credentials",format="jwt"}';
    expect(valueOf(text, issued)).toBe(1);
    const refused = 'countersign_refusals_total{endpoint="token",error="invalid_scope"}';
    expect(valueOf(text, refused)).toBe(1);
    const took = 'countersign_http_request_seconds_count{route="token",method="POST",status="200"}';
    expect(valueOf(text, took)).toBe(1);
  });

  it('tells of the database and of when certificates end', async () => {
    const text = await scrape();
    expect(valueOf(text, 'countersign_database_up')).toBe(1);
    expect(valueOf(text, 'countersign_database_pool{state="total"}')).toBeGreaterThan(0);
    const day = 86_400;
    for (const name of ['server', 'client_authorities']) {
      const seconds = valueOf(text, `countersign_certificate_expiry_seconds{name="${name}"}`);
      expect(seconds).toBeGreaterThan(300 * day);
    }
  });

  it('is not reachable through the doors of clients', async () => {
    for (const origin of [server.issuer, server.mtlsOrigin]) {
      expect((await server.fetch()(`${origin}/metrics`)).status).toBe(404);
      expect((await server.fetch()(`${origin}/readyz`)).status).toBe(404);
    }
  });
});

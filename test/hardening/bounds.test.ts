import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bounds } from '../../src/bounds.ts';
import { rawRequest, sendRaw } from '../support/attack.ts';
import type { RawExchange } from '../support/attack.ts';
import { consentEnvironment, plainConsents, startConsentServer } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { streamDraft } from '../support/events.ts';
import { basic, post, send } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

/** Where JSON is posted, and by whom. */
interface Door {
  path: string;
  listener: 'public' | 'mtls';
  headers: Record<string, string>;
  limits: { maxBytes: number; maxDepth: number };
}

let world: ConsentServer;
let server: AuthorizationServer;
let doors: Door[];

beforeAll(async () => {
  world = await startConsentServer();
  ({ server } = world);
  const bearer = async (scope: string) => ({
    authorization: `Bearer ${await world.tpp.token(scope)}`,
  });
  doors = [
    {
      ...{ path: plainConsents, listener: 'mtls', headers: await bearer('consents') },
      limits: bounds.consentRequests,
    },
    {
      ...{ path: '/events/v1/poll', listener: 'mtls', headers: await bearer('events') },
      limits: bounds.eventPolls,
    },
    {
      ...{ path: '/api-keys/v1/verify', listener: 'public' },
      headers: basic('bank-rs', world.serverSecret),
      limits: bounds.apiKeyRequests,
    },
  ];
});

afterAll(() => server.stop());

function knock(door: Door, body: string, more: Record<string, string>): Promise<RawExchange> {
  const { path, listener, headers } = door;
  const host = new URL(listener === 'mtls' ? server.mtlsOrigin : server.issuer).host;
  const all = { Host: host, ...headers, 'Content-Type': 'application/json', ...more };
  const { certificatePem: cert, privateKeyPem: key } = world.tpp.certificate;
  const tls = listener === 'mtls' ? { tls: { cert, key } } : {};
  return sendRaw(server, rawRequest(server, `POST ${path}`, { headers: all, body }), {
    ...{ listener, ...tls },
  });
}

const statusOf = ({ answers }: RawExchange) => answers.map(({ status }) => status);

function sized(door: Door, bytes: number): Promise<RawExchange> {
  const body = `{"x":"${'x'.repeat(bytes - 8)}"}`;
  return knock(door, body, { 'Content-Length': String(bytes) });
}

function chunked(door: Door, bytes: number): Promise<RawExchange> {
  const chunk = `${bytes.toString(16)}\r\n${' '.repeat(bytes)}\r\n`;
  return knock(door, chunk, { 'Transfer-Encoding': 'chunked' });
}

function nested(door: Door, depth: number): Promise<RawExchange> {
  const body = `${'{"x":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;
  return knock(door, body, { 'Content-Length': String(body.length) });
}

/** A client that others must not keep waiting. */
async function introspection(at = server): Promise<number> {
  const headers = basic('bank-rs', world.serverSecret);
  const form = { token: 'x' };
  return (await post(at.fetch(), `${at.issuer}/introspect`, { form, headers })).status;
}

describe('A body of JSON', () => {
  it('is read up to its bound and refused beyond it, with a length and without', async () => {
    for (const door of doors) {
      const { maxBytes } = door.limits;
      expect(statusOf(await sized(door, maxBytes))).toEqual([400]);
      expect(statusOf(await sized(door, maxBytes + 1))).toEqual([413]);
      // It never ends: what was read is enough.
      expect(statusOf(await chunked(door, maxBytes + 1))).toEqual([413]);
    }
  });

  it('is no deeper than its bound', async () => {
    for (const door of doors) {
      const { maxDepth } = door.limits;
      await nested(door, maxDepth);
      expect(await lastReason(door)).not.toContain('nested deeper');
      expect(statusOf(await nested(door, maxDepth + 1))).toEqual([400]);
      expect(await lastReason(door)).toContain(`nested deeper than ${String(maxDepth)}`);
    }
  });

  it('that is too large keeps nobody out, however many send one', async () => {
    const attacks = doors.flatMap((door) =>
      Array.from({ length: 20 }, () => chunked(door, door.limits.maxBytes + 1)),
    );
    expect(await introspection()).toBe(200);
    const refused = await Promise.all(attacks);
    expect(new Set(refused.flatMap(statusOf))).toEqual(new Set([413]));
    expect(await introspection()).toBe(200);
  });
});

/** What the log says of the last request there. */
async function lastReason({ path }: Door): Promise<unknown> {
  const lines = (await server.log.lines()).filter(
    (line) => line.message === 'Request' && line['path'] === path,
  );
  return lines.at(-1)?.['reason'] ?? '';
}

describe('On a server of little patience', () => {
  let hasty: AuthorizationServer;

  beforeAll(async () => {
    const environment = { ...consentEnvironment, COUNTERSIGN_REQUEST_TIME: '1' };
    hasty = await startAuthorizationServer({ beside: server, environment });
  });

  afterAll(() => hasty.stop());

  it('a poll finds nothing before it is given up', async () => {
    const { eventStreams } = hasty.running.app;
    await eventStreams.insert(streamDraft({ id: 'aisp', clientId: 'aisp', delivery: 'poll' }));
    const call = { scope: 'events', body: {}, at: hasty };
    const answer = await world.tpp.call('POST', '/events/v1/poll', call);
    expect(answer).toMatchObject({ status: 200, body: { sets: {} } });
  });

  it('a request that nobody can answer is given up in time, and others are answered meanwhile', async () => {
    await introspection(hasty); // from now on its client is remembered
    const operator = new pg.Client({ connectionString: server.database.connectionString });
    await operator.connect();
    await operator.query('BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE');
    const form = { token: 'x' };
    const ask = (id: string) =>
      post(hasty.fetch(), `${hasty.issuer}/introspect`, { form, headers: basic(id, 'x') });
    try {
      const held = Array.from({ length: 4 }, (_, i) => ask(`nobody-${String(i)}`));
      expect(await introspection(hasty)).toBe(200);
      expect((await send(hasty.fetch(), `${hasty.issuer}/jwks`)).status).toBe(200);
      for (const answer of await Promise.all(held)) {
        expect(answer.status).toBe(503);
        expect(answer.body).toMatchObject({ error: 'temporarily_unavailable' });
        expect(answer.headers.get('retry-after')).toBe('5');
        expect(answer.headers.get('connection')).toBe('close');
        expect(answer.headers.get('cache-control')).toBe('no-store');
      }
    } finally {
      await operator.end();
    }
    expect((await ask('nobody-0')).status).toBe(401);
    const worst = (await hasty.log.lines()).filter(({ level }) => level === 'error');
    expect(worst).toEqual([]);
  });
});

import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { bankApi, lodgeAccess, startConsentServer, ukAccess } from '../support/consents.ts';
import type { ConsentServer, Tpp } from '../support/consents.ts';
import { movesOf, verifiedEvent } from '../support/event-receiver.ts';
import { streamDraft } from '../support/events.ts';
import { auditOf, basic, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';

const certificateApi = 'https://certificate-api.example.com';
const pollPath = '/events/v1/poll';

let world: ConsentServer;
let serverCertificate: IssuedCertificate;

beforeAll(async () => {
  const subject = 'CN=certificate-rs,O=Bank,C=GB';
  world = await startConsentServer({
    environment: { COUNTERSIGN_EVENTS_POLL_WAIT: '20' },
    clients: [
      {
        metadata: {
          ...{ client_id: 'certificate-rs', grant_types: [] },
          ...{ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: subject },
        },
      },
    ],
  });
  const { eventStreams, resourceServers } = world.server.running.app;
  await resourceServers.insert({
    ...{ identifier: certificateApi, name: 'API', scopes: { accounts: {} }, source: 'operator' },
    ...{ accessTokenFormat: 'jwt', accessTokenTtlSeconds: 600, signingAlgorithm: 'RS256' },
    introspectionClientId: 'certificate-rs',
  });
  serverCertificate = await clientCertificate(world.server.certificates.authority, { subject });
  const delivery = 'poll';
  await eventStreams.insert(streamDraft({ id: 'bank', resourceServer: bankApi, delivery }));
  await eventStreams.insert(
    streamDraft({ id: 'certified', resourceServer: certificateApi, delivery }),
  );
  await eventStreams.insert(streamDraft({ id: 'aisp', clientId: 'aisp', delivery }));
  await eventStreams.insert(streamDraft({ id: 'other', clientId: 'other', delivery }));
  await eventStreams.insert(streamDraft({ id: 'pushed', clientId: 'other' }));
});

afterAll(() => world.server.stop());

beforeEach(async () => {
  await rows(world.server, 'DELETE FROM event_deliveries');
});

interface Polled {
  status: number;
  body: Record<string, unknown>;
}

const json = { 'content-type': 'application/json' };
const now = { returnImmediately: true };

const pollAs = (tpp: Tpp, body: unknown, path = pollPath): Promise<Polled> =>
  tpp.call('POST', path, { scope: 'events', body });

function pollAsServer(body: unknown, path = pollPath, at = world.server): Promise<Answer> {
  const headers = { ...json, ...basic('bank-rs', world.serverSecret) };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };
  return send(at.fetch(), at.issuer + path, init);
}

const setsIn = ({ body }: Polled) => body['sets'] as Record<string, string>;
const jtisIn = (polled: Polled) => Object.keys(setsIn(polled));
const eventsIn = (polled: Polled) =>
  Object.values(setsIn(polled)).map((jwt) => ({ claims: decodeJwt(jwt) }));

const withdraw = (id: string) =>
  world.tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });

describe('A client that polls', () => {
  it('gets its own events, signed, in their order, until it has acknowledged them', async () => {
    const { server, tpp, other } = world;
    const id = await lodgeAccess(tpp);
    await withdraw(id);
    const first = await pollAs(tpp, now);
    expect(first.status).toBe(200);
    expect(first.body).toEqual({ sets: expect.anything() as unknown, moreAvailable: true });
    expect(movesOf(eventsIn(first), id)).toEqual(['create']);
    const [jwt = ''] = Object.values(setsIn(first));
    expect(await verifiedEvent(server, jwt, 'aisp')).toMatchObject({ jti: jtisIn(first)[0] });

    const again = await pollAs(tpp, now);
    expect(jtisIn(again)).toEqual(jtisIn(first));
    const second = await pollAs(tpp, { ...now, ack: jtisIn(first) });
    expect(movesOf(eventsIn(second), id)).toEqual(['withdraw']);
    expect(second.body).not.toHaveProperty('moreAvailable');
    expect((await pollAs(tpp, { ...now, ack: jtisIn(second) })).body).toEqual({ sets: {} });
    expect((await pollAs(other, now)).body).toEqual({ sets: {} });
  });

  it('may take what it can, and only acknowledge', async () => {
    const { tpp } = world;
    for (let i = 0; i < 3; i += 1) await lodgeAccess(tpp);
    const two = await pollAs(tpp, { ...now, maxEvents: 2 });
    expect(jtisIn(two)).toHaveLength(2);
    expect(two.body['moreAvailable']).toBe(true);
    const none = await pollAs(tpp, { maxEvents: 0, ack: jtisIn(two) });
    expect(none.body).toEqual({ sets: {}, moreAvailable: true });
    const rest = await pollAs(tpp, now);
    expect(jtisIn(rest)).toHaveLength(1);
    expect(rest.body).not.toHaveProperty('moreAvailable');
  });

  it('says what it will never take, which is recorded, and gets what follows', async () => {
    const { server, tpp } = world;
    const id = await lodgeAccess(tpp);
    await withdraw(id);
    const [jti = ''] = jtisIn(await pollAs(tpp, now));
    const setErrs = { [jti]: { err: 'invalid_request', description: 'no' } };
    const next = await pollAs(tpp, { ...now, setErrs });
    expect(movesOf(eventsIn(next), id)).toEqual(['withdraw']);
    await server.running.app.audit.flush();
    const lost = await rows(
      server,
      `SELECT detail FROM audit_events WHERE type = 'security_event.lost' AND detail->>'jti' = $1`,
      [jti],
    );
    expect(lost).toEqual([
      { detail: { stream: 'aisp', consent: id, jti, reason: 'invalid_request' } },
    ]);
  });

  /** When a poll that acknowledges `jti` has been read: from then on it waits. */
  const isRead = (jti = '') =>
    vi.waitFor(
      async () => {
        const statement = `SELECT 1 FROM event_deliveries WHERE jti = $1 AND settled_at IS NOT NULL`;
        expect(await rows(world.server, statement, [jti])).toHaveLength(1);
      },
      { timeout: 10_000 },
    );

  it('waits for an event, and has it at once', async () => {
    const { tpp } = world;
    await lodgeAccess(tpp);
    const [jti] = jtisIn(await pollAs(tpp, now));
    const waiting = pollAs(tpp, { ack: [jti] });
    await isRead(jti);
    const begun = performance.now();
    const id = await lodgeAccess(tpp);
    expect(movesOf(eventsIn(await waiting), id)).toEqual(['create']);
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it('is told by any process, and not kept waiting by one that stops', async () => {
    const { tpp } = world;
    const beside = await world.beside();
    const poll = (body: unknown) =>
      tpp.call('POST', pollPath, { scope: 'events', body, at: beside });
    const id = await lodgeAccess(tpp);
    const first = await poll(now);
    expect(movesOf(eventsIn(first), id)).toEqual(['create']);
    const waiting = poll({ ack: jtisIn(first) });
    await isRead(jtisIn(first)[0]);
    const begun = performance.now();
    const stopping = beside.running.stop();
    expect((await waiting).body).toEqual({ sets: {} });
    await stopping;
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it.each([
    ['a token without the scope', { scope: 'accounts' }, { status: 403, err: 'access_denied' }],
    ['no token', {}, { status: 401, err: 'authentication_failed' }],
    ['what is no token', { token: 'nonsense' }, { status: 401, err: 'authentication_failed' }],
  ])('is refused with %s', async (_what, call, expected) => {
    const answer = await world.tpp.call('POST', pollPath, { ...call, body: now });
    expect({ status: answer.status, err: answer.body['err'] }).toEqual(expected);
  });

  it('is refused with the certificate of another, and off mTLS', async () => {
    const { server, tpp, other } = world;
    const stolen = { scope: 'events', body: now, certificate: other.certificate };
    expect((await tpp.call('POST', pollPath, stolen)).status).toBe(401);
    const headers = { ...json, authorization: `Bearer ${await tpp.token('events')}` };
    const init = { method: 'POST', headers, body: '{}' };
    expect((await send(server.fetch(), server.issuer + pollPath, init)).status).toBe(401);
  });
});

describe('A resource server that polls', () => {
  it('gets the events of the consents under its scopes', async () => {
    const [mine, others] = [await lodgeAccess(world.tpp), await lodgeAccess(world.other)];
    const polled = await pollAsServer(now);
    expect(polled.status).toBe(200);
    expect(polled.headers.get('cache-control')).toBe('no-store');
    const events = eventsIn(polled);
    expect([...movesOf(events, mine), ...movesOf(events, others)]).toEqual(['create', 'create']);
    for (const jwt of Object.values(setsIn(polled))) {
      await verifiedEvent(world.server, jwt, bankApi);
    }
  });

  it('proves itself by the certificate with which it introspects, over mTLS only', async () => {
    const { server, tpp } = world;
    const id = await lodgeAccess(tpp);
    const poll = (origin: string, certificate: IssuedCertificate) => {
      const init = { method: 'POST', headers: json, body: JSON.stringify(now) };
      return send(server.fetch(certificate), origin + pollPath, init);
    };
    const polled = await poll(server.mtlsOrigin, serverCertificate);
    expect(polled.status).toBe(200);
    expect(movesOf(eventsIn(polled), id)).toEqual(['create']);
    for (const refused of [
      await poll(server.issuer, serverCertificate),
      await poll(server.mtlsOrigin, tpp.certificate),
    ]) {
      expect(refused).toMatchObject({ status: 401, body: { err: 'authentication_failed' } });
    }
  });

  it('is refused with a wrong secret, and as another server', async () => {
    const { server } = world;
    for (const secret of ['wrong', `${world.serverSecret}x`]) {
      const headers = { ...json, ...basic('bank-rs', secret) };
      const init = { method: 'POST', headers, body: '{}' };
      const refused = await send(server.fetch(), server.issuer + pollPath, init);
      expect(refused).toMatchObject({ status: 401, body: { err: 'authentication_failed' } });
      expect(await auditOf(server, refused)).toMatchObject([
        { type: 'security_event.poll_refused', outcome: 'refused' },
      ]);
    }
  });
});

describe('A stream of somebody else', () => {
  it('is as good as none, and can not be acknowledged', async () => {
    const { tpp, other } = world;
    const id = await lodgeAccess(tpp);
    const own = await pollAs(tpp, now, `${pollPath}/aisp`);
    expect(own.status).toBe(200);
    const [foreign, unknown, pushed, served] = [
      await pollAs(other, { ...now, ack: jtisIn(own) }, `${pollPath}/aisp`),
      await pollAs(other, now, `${pollPath}/${randomUUID()}`),
      await pollAs(other, now, `${pollPath}/pushed`),
      await pollAsServer({ ...now, ack: jtisIn(own) }, `${pollPath}/aisp`),
    ];
    for (const { status, body } of [foreign, unknown, pushed, served]) {
      const { err, description } = body;
      expect({ status, err, description }).toEqual({
        ...{ status: 404, err: 'access_denied' },
        description: 'There is no such event stream.',
      });
    }
    // By their own streams they reach nothing of it either.
    await pollAs(other, { ...now, ack: jtisIn(own), maxEvents: 0 });
    expect(movesOf(eventsIn(await pollAs(tpp, now)), id)).toEqual(['create']);
  });
});

describe('A poll', () => {
  it.each([
    ['an unknown member', { ...now, everything: true }],
    ['a wrong type', { maxEvents: 'all' }],
    ['a negative count', { maxEvents: -1 }],
    ['what is no jti', { ack: ["' OR 1=1"] }],
    ['an error without a code', { setErrs: { [randomUUID()]: {} } }],
    ['too many acknowledgements', { ack: Array.from({ length: 1001 }, () => randomUUID()) }],
    ['a list', [now]],
  ])('is refused for %s', async (_what, body) => {
    expect(await pollAsServer(body)).toMatchObject({
      status: 400,
      body: { err: 'invalid_request' },
    });
  });

  it('is refused when it is too long, no JSON, or no POST', async () => {
    const { server } = world;
    const url = server.issuer + pollPath;
    const credentials = basic('bank-rs', world.serverSecret);
    const sent = (init: RequestInit) => send(server.fetch(), url, init);
    const post = (headers: Record<string, string>, body: string) =>
      sent({ method: 'POST', headers: { ...credentials, ...headers }, body });
    expect((await post(json, `{"ack": ["${'x'.repeat(70_000)}"]}`)).status).toBe(413);
    expect((await post(json, '{"ack": [], "ack": []}')).status).toBe(400);
    expect((await post({ 'content-type': 'text/plain' }, '{}')).status).toBe(415);
    const got = await sent({ headers: credentials });
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('is told where events come from', async () => {
    const { server } = world;
    const found = await send(server.fetch(), `${server.issuer}/.well-known/ssf-configuration`);
    expect(found.body).toEqual({
      spec_version: '1_0',
      issuer: server.issuer,
      jwks_uri: `${server.issuer}/jwks`,
      delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
      default_subjects: 'ALL',
    });
    expect((await send(server.fetch(), String(found.body['jwks_uri']))).status).toBe(200);
  });
});

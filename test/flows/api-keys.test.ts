import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  bankApi,
  certificateFor,
  keyRequest,
  keysPath,
  otherApi,
  startKeyServer,
  verifyPath,
} from '../support/api-keys.ts';
import type { KeyOwner, KeyServer } from '../support/api-keys.ts';
import { basic, getWith, rows, send } from '../support/protocol.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: KeyServer;
let server: AuthorizationServer;
let owner: KeyOwner;
let other: KeyOwner;

beforeAll(async () => {
  world = await startKeyServer();
  ({ server, owner, other } = world);
});

afterAll(() => server.stop());

const inactive = { active: false };

/** The reasons that the audit trail has, the newest first. */
async function reasons(): Promise<unknown[]> {
  await server.running.app.audit.flush();
  const found = await rows(
    server,
    `SELECT detail->>'reason' AS reason FROM audit_events WHERE type = 'api_key.refused' ORDER BY at DESC, id DESC`,
  );
  return found.map(({ reason }) => reason);
}

describe('A client', () => {
  it('makes a key that is shown once, and a resource server learns what it allows', async () => {
    const { id, key, body } = await owner.make();
    expect(key).toMatch(/^ck_test_[0-9A-Za-z]{49}$/);
    expect(body).toMatchObject({
      prefix: key.slice(0, 14),
      status: 'active',
      permissions: { [bankApi]: ['accounts'] },
      addresses: [],
    });
    const read = await owner.call('GET', `${keysPath}/${id}`);
    expect(read.status).toBe(200);
    expect(read.text).not.toContain(key.slice(14));
    expect(read.body).not.toHaveProperty('key');
    const verified = await world.verify(key);
    expect(verified.status).toBe(200);
    expect(verified.headers.get('cache-control')).toBe('no-store');
    expect(verified.body).toEqual({
      ...{ active: true, id, name: 'nightly export', scopes: ['accounts'] },
      owner: { type: 'client', client_id: 'keys-tpp' },
      expires_at: body['expires_at'],
      ends_soon: true,
    });
  });

  it('has several keys, and lists its own', async () => {
    const made = [await owner.make({ name: 'first' }), await owner.make({ name: 'second' })];
    const listed = (await owner.call('GET', keysPath)).body['keys'] as { id: string }[];
    const ids = listed.map(({ id }) => id);
    expect(ids.slice(0, 2)).toEqual([made[1]?.id, made[0]?.id]);
    const foreign = (await other.call('GET', keysPath)).body['keys'] as { id: string }[];
    expect(foreign.filter(({ id }) => ids.includes(id))).toEqual([]);
    for (const { key } of made) expect((await world.verify(key)).body['active']).toBe(true);
  });

  it('reaches no key of another client', async () => {
    const { id, key } = await owner.make();
    const overlap = { body: { overlap_seconds: 0 } };
    const answers = [
      await other.call('GET', `${keysPath}/${id}`),
      await other.call('GET', `${keysPath}/${id}/usage`),
      await other.call('GET', `${keysPath}?after=${id}`),
      await other.call('POST', `${keysPath}/${id}/rotate`, overlap),
      await other.call('DELETE', `${keysPath}/${id}`),
    ];
    const unknown = await other.call('DELETE', `${keysPath}/${randomUUID()}`);
    const shape = ({ reference: _reference, ...rest }: Record<string, unknown>) => rest;
    for (const answer of answers) {
      expect(answer.status).toBe(404);
      expect(shape(answer.body)).toEqual(shape(unknown.body));
    }
    expect((await world.verify(key)).body['active']).toBe(true);
  });

  it('makes one key of a repeated request with an idempotency key', async () => {
    const headers = { 'x-idempotency-key': randomUUID() };
    const body = keyRequest();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => owner.call('POST', keysPath, { body, headers })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map((answer) => answer.body['id'])).size).toBe(1);
    expect(answers.filter((answer) => 'key' in answer.body)).toHaveLength(1);
    const changed = { ...body, name: 'another' };
    const refused = await owner.call('POST', keysPath, { body: changed, headers });
    expect(refused).toMatchObject({ status: 409, body: { code: 'idempotency_mismatch' } });
  });

  it.each([
    ['a scope that it does not hold', { permissions: { [bankApi]: ['admin'] } }, 'permissions'],
    [
      'another resource server',
      { permissions: { 'https://certificate-api.example.com': ['statements'] } },
      'permissions',
    ],
    ['nothing', { permissions: {} }, 'permissions'],
    ['an end in the past', { expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['an end too far ahead', { expires_at: '2126-01-01T00:00:00Z' }, 'expires_at'],
    ['no end', { expires_at: undefined }, 'expires_at'],
    ['a member that is ours', { owner: 'operator' }, ''],
    ['a network that is none', { addresses: ['10.0.0.0/33'] }, 'addresses.0'],
    ['a limit of nothing', { rate_limit: { requests: 0, seconds: 1 } }, 'rate_limit.requests'],
    ['a name with something hidden', { name: 'a\u202eb' }, 'name'],
  ])('can not ask for %s', async (_what, change, path) => {
    const refused = await owner.call('POST', keysPath, { body: { ...keyRequest(), ...change } });
    expect(refused).toMatchObject({ status: 400, body: { code: 'api_key_invalid' } });
    expect(refused.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect((refused.body['errors'] as { path: string }[])[0]?.path).toBe(path);
  });

  it('can not give what only others hold', async () => {
    const body = { ...keyRequest(), permissions: { [bankApi]: ['accounts', 'payments'] } };
    expect((await owner.call('POST', keysPath, { body })).status).toBe(201);
    expect((await other.call('POST', keysPath, { body })).status).toBe(400);
  });

  it.each([
    ['2026-02-28', 200],
    ['2028-02-29', 200],
    ['2026-02-31', 400],
    ['2026-02-29', 400],
    ['2026-13-01', 400],
    ['0000-01-01', 400],
    ['2026-1-1', 400],
    ['yesterday', 400],
  ])('is told its use from %s on with %i', async (day, status) => {
    const { id } = await owner.make();
    for (const name of ['from', 'to']) {
      const told = await owner.call('GET', `${keysPath}/${id}/usage?${name}=${day}`);
      expect(told.status).toBe(status);
    }
  });

  it.each([
    ['no JSON', '{', 400],
    ['a member twice', '{"name":"a","name":"b"}', 400],
    ['a deep one', `{"a":${'['.repeat(20)}${']'.repeat(20)}}`, 400],
    ['a large one', JSON.stringify({ name: 'x'.repeat(20_000) }), 413],
  ])('gets no key for a body that is %s', async (_what, text, status) => {
    expect((await owner.call('POST', keysPath, { text })).status).toBe(status);
  });

  it('needs a token of its own with the scope, bound to its certificate', async () => {
    const scopeless = await owner.call('GET', keysPath, { token: await owner.token('accounts') });
    expect(scopeless).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
    const stolen = await owner.call('GET', keysPath, { token: await other.token() });
    expect(stolen).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(stolen.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    const elsewhere = await send(server.fetch(), server.issuer + keysPath);
    expect(elsewhere.status).toBe(404);
    for (const token of ['x', '']) {
      expect((await owner.call('GET', keysPath, { token })).status).toBe(401);
    }
    expect((await owner.call('PUT', keysPath)).status).toBe(405);
    expect((await owner.call('GET', '/api-keys/v1/nothing')).status).toBe(404);
    expect((await owner.call('GET', '/API-KEYS/v1/keys')).status).toBe(404);
  });

  it('has one Authorization header', async () => {
    const authorization = [`Bearer ${await owner.token()}`, `Bearer ${await other.token()}`];
    const refused = await getWith(server, server.mtlsOrigin + keysPath, { authorization });
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  it('has a bounded number of active keys', async () => {
    const small = await startKeyServer({ environment: { COUNTERSIGN_API_KEYS_PER_CLIENT: '2' } });
    try {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => small.owner.call('POST', keysPath, { body: keyRequest() })),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
      const refused = answers.find(({ status }) => status !== 201);
      expect(refused).toMatchObject({ status: 409, body: { code: 'api_key_limit' } });
    } finally {
      await small.server.stop();
    }
  });
});

describe('Verification', () => {
  it('tells each resource server of its own scopes only', async () => {
    const permissions = { [bankApi]: ['accounts', 'payments'], [otherApi]: ['statements'] };
    const both = await owner.make({ permissions });
    expect((await world.verify(both.key)).body['scopes']).toEqual(['accounts', 'payments']);
    const there = await world.verify(both.key, { as: 'other-keys-rs' });
    expect(there.body['scopes']).toEqual(['statements']);
    const one = await owner.make();
    expect((await world.verify(one.key, { as: 'other-keys-rs' })).body).toEqual(inactive);
    expect((await reasons())[0]).toBe('foreign');
  });

  it('wants a resource server that proves who it is', async () => {
    const { key } = await owner.make();
    const body = JSON.stringify({ key });
    const type = { 'content-type': 'application/json' };
    const wrong = [{}, basic('keys-rs', 'wrong'), basic('web', server.secrets.web)];
    for (const headers of wrong) {
      const init = { method: 'POST', headers: { ...headers, ...type }, body };
      const refused = await send(server.fetch(), server.issuer + verifyPath, init);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe('Basic realm="api-keys"');
    }
    const init = { method: 'POST', headers: type, body };
    const certificate = await certificateFor(server, 'certificate-rs');
    const proven = await send(server.fetch(certificate), server.mtlsOrigin + verifyPath, init);
    expect(proven).toMatchObject({ status: 200, body: inactive });
    const foreign = await send(
      server.fetch(owner.certificate),
      server.mtlsOrigin + verifyPath,
      init,
    );
    expect(foreign.status).toBe(401);
  });

  it('refuses requests that it does not understand', async () => {
    const headers = { ...basic('keys-rs', world.serverSecret), 'content-type': 'application/json' };
    const url = server.issuer + verifyPath;
    for (const body of [
      '{}',
      '{"key":1}',
      '{"key":"x","scope":"y"}',
      '{"key":"x","address":"y"}',
    ]) {
      const refused = await send(server.fetch(), url, { method: 'POST', headers, body });
      expect(refused).toMatchObject({ status: 400, body: { code: 'api_key_invalid' } });
    }
    expect((await send(server.fetch(), url, { headers })).status).toBe(405);
  });

  it('heeds the list of addresses', async () => {
    const addresses = ['192.0.2.0/24', '2001:db8::/32'];
    const { key } = await owner.make({ addresses });
    for (const address of ['192.0.2.7', '2001:db8::1', '::ffff:192.0.2.9']) {
      expect((await world.verify(key, { address })).body['active']).toBe(true);
    }
    for (const address of ['198.51.100.1', '2001:db9::1', undefined]) {
      const how = address === undefined ? {} : { address };
      expect((await world.verify(key, how)).body).toEqual(inactive);
      expect((await reasons())[0]).toBe('address');
    }
  });

  it('heeds the limit of a key, and says what is left', async () => {
    const limit = { requests: 3, seconds: 3600 };
    const { key } = await owner.make({ rate_limit: limit });
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await world.verify(key));
    expect(answers.map(({ body }) => body['active'])).toEqual([true, true, true, false]);
    expect(answers[0]?.body['rate_limit']).toMatchObject({ ...limit, remaining: 2 });
    const last = answers[3];
    expect(last?.body['rate_limit']).toMatchObject({ ...limit, remaining: 0 });
    expect(last?.body).not.toHaveProperty('owner');
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await reasons())[0]).toBe('limited');
  });

  it('tells of a key that is used too often once a minute, and counts every use', async () => {
    const { id, key } = await owner.make({ rate_limit: { requests: 1, seconds: 86_400 } });
    const told = async () => {
      await server.running.app.audit.flush();
      const limited = `SELECT 1 FROM audit_events WHERE detail->>'key' = $1 AND detail->>'reason' = 'limited'`;
      return (await rows(server, limited, [id])).length;
    };
    vi.useFakeTimers({ toFake: ['Date'], now: systemClock.now().getTime() - 61_000 });
    try {
      for (let i = 0; i < 5; i += 1) await world.verify(key);
    } finally {
      vi.useRealTimers();
    }
    expect(await told()).toBe(1);
    for (let i = 0; i < 3; i += 1) await world.verify(key);
    expect(await told()).toBe(2);
    await server.running.app.apiKeys.flush();
    const uses = `SELECT sum(refused)::int AS refused FROM api_key_usage WHERE key_id = $1`;
    expect(await rows(server, uses, [id])).toEqual([{ refused: 7 }]);
  });
});

describe('What the owner loses, its keys lose', () => {
  it('a scope, the client itself for a while, and for good', async () => {
    const { clients } = server.running.app;
    const permissions = { [bankApi]: ['accounts', 'payments'] };
    const { key } = await owner.make({ permissions });
    await clients.setPermission('keys-tpp', bankApi, ['accounts', 'api-keys']);
    expect((await world.verify(key)).body['scopes']).toEqual(['accounts']);
    await clients.setStatus('keys-tpp', 'suspended');
    expect((await world.verify(key)).body).toEqual(inactive);
    await clients.setStatus('keys-tpp', 'active');
    await clients.setPermission('keys-tpp', bankApi, ['accounts', 'payments', 'api-keys']);
    expect((await world.verify(key)).body['scopes']).toEqual(['accounts', 'payments']);
    const foreign = await world.doomed.make();
    expect((await world.verify(foreign.key)).body['active']).toBe(true);
    await clients.delete('keys-doomed');
    expect((await world.verify(foreign.key)).body).toEqual(inactive);
    expect(await rows(server, `SELECT 1 FROM api_keys WHERE id = $1`, [foreign.id])).toEqual([]);
  });
});

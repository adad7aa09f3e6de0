import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bankApi, keysPath, startKeyServer } from '../support/api-keys.ts';
import type { KeyServer } from '../support/api-keys.ts';
import { rows } from '../support/protocol.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { AuthorizationServer } from '../support/server.ts';

let world: KeyServer;
let server: AuthorizationServer;
let beside: AuthorizationServer;

beforeAll(async () => {
  world = await startKeyServer();
  ({ server } = world);
  beside = await world.beside();
});

afterAll(async () => {
  await beside.stop();
  await server.stop();
});

/** Milliseconds until a process no longer takes the key; it is asked without pause. */
async function msUntilRefused(key: string, at: AuthorizationServer): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    if ((await world.verify(key, { at })).body['active'] === false) {
      return performance.now() - startedAt;
    }
  }
}

describe('With two processes on one database', () => {
  it('a key that one made works at the other, and its end is heard within a second', async () => {
    const { id, key } = await world.owner.make();
    for (const at of [server, beside]) {
      expect((await world.verify(key, { at })).body['active']).toBe(true);
    }
    expect((await world.owner.call('DELETE', `${keysPath}/${id}`)).status).toBe(204);
    expect((await world.verify(key)).body).toEqual({ active: false });
    expect(await msUntilRefused(key, beside)).toBeLessThan(1000);
    expect((await world.owner.call('DELETE', `${keysPath}/${id}`)).status).toBe(204);
    const read = await world.owner.call('GET', `${keysPath}/${id}`);
    expect(read.body['status']).toBe('revoked');
  });

  it('the loss of a scope and the end of a client are heard as well', async () => {
    const { clients } = server.running.app;
    const { key } = await world.doomed.make();
    expect((await world.verify(key, { at: beside })).body['active']).toBe(true);
    await clients.setStatus('keys-doomed', 'suspended');
    expect(await msUntilRefused(key, beside)).toBeLessThan(1000);
    await clients.setStatus('keys-doomed', 'active');
    const next = await world.doomed.make({ name: 'next' });
    expect((await world.verify(next.key, { at: beside })).body['active']).toBe(true);
    await clients.delete('keys-doomed');
    expect(await msUntilRefused(next.key, beside)).toBeLessThan(1000);
  });

  it('fifty rotations at once make one successor', async () => {
    const { id, key } = await world.owner.make();
    const body = { overlap_seconds: 3600 };
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        world.owner.call('POST', `${keysPath}/${id}/rotate`, {
          body,
          at: i % 2 === 0 ? server : beside,
        }),
      ),
    );
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    const others = answers.filter(({ status }) => status !== 201);
    expect(new Set(others.map(({ body: { code } }) => code))).toEqual(new Set(['api_key_state']));
    const successor = String(made[0]?.body['key']);
    const old = await world.verify(key, { at: beside });
    expect(old.body).toMatchObject({
      ...{ active: true, ends_soon: true, successor: made[0]?.body['id'] },
    });
    expect(Date.parse(String(old.body['expires_at']))).toBeLessThan(Date.now() + 3_600_001);
    expect((await world.verify(successor)).body).toMatchObject({
      ...{ active: true, name: 'nightly export', scopes: ['accounts'] },
    });
  });

  it('a rotation without overlap ends the old key at once, everywhere', async () => {
    const { id, key } = await world.owner.make();
    expect((await world.verify(key, { at: beside })).body['active']).toBe(true);
    const rotated = await world.owner.call('POST', `${keysPath}/${id}/rotate`, {
      body: { overlap_seconds: 0 },
    });
    expect(rotated.status).toBe(201);
    expect((await world.verify(key)).body).toEqual({ active: false });
    expect(await msUntilRefused(key, beside)).toBeLessThan(1000);
    const again = await world.owner.call('POST', `${keysPath}/${id}/rotate`, {
      body: { overlap_seconds: 0 },
    });
    expect(again).toMatchObject({ status: 409, body: { code: 'api_key_state' } });
  });

  it('a successor is worth what its owner still holds', async () => {
    const { clients } = server.running.app;
    const { id } = await world.other.make();
    await clients.setPermission('keys-other', bankApi, ['api-keys']);
    const body = { overlap_seconds: 60 };
    const refused = await world.other.call('POST', `${keysPath}/${id}/rotate`, { body });
    expect(refused).toMatchObject({ status: 400, body: { code: 'api_key_invalid' } });
    await clients.setPermission('keys-other', bankApi, ['accounts', 'api-keys']);
    const made = await world.other.call('POST', `${keysPath}/${id}/rotate`, { body });
    expect(made.status).toBe(201);
  });

  it('a successor has nothing that its owner lost, also when the owner holds it again', async () => {
    const { clients } = server.running.app;
    const both = ['accounts', 'payments'];
    const old = await world.owner.make({ permissions: { [bankApi]: both } });
    await clients.setPermission('keys-tpp', bankApi, ['accounts', 'api-keys']);
    const rotated = await world.owner.call('POST', `${keysPath}/${old.id}/rotate`, {
      body: { overlap_seconds: 60, permissions: { [bankApi]: both } },
    });
    expect(rotated.status).toBe(400); // whoever rotates names no scopes
    const made = await world.owner.call('POST', `${keysPath}/${old.id}/rotate`, {
      body: { overlap_seconds: 60 },
    });
    await clients.setPermission('keys-tpp', bankApi, [...both, 'api-keys']);
    const scopesOf = async (key: unknown) => (await world.verify(String(key))).body['scopes'];
    expect(await scopesOf(made.body['key'])).toEqual(['accounts']);
    expect(await scopesOf(old.key)).toEqual(both);
  });

  it('a key that ends soon is told of, once', async () => {
    const { id } = await world.owner.make({ name: 'soon over' });
    const later = { expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString() };
    const fresh = await world.owner.make(later);
    const told = async () => {
      await third.running.app.audit.flush();
      return rows(
        server,
        `SELECT client_id, detail->>'name' AS name FROM audit_events
         WHERE type = 'api_key.ending' AND detail->>'key' IN ($1, $2)`,
        [id, fresh.id],
      );
    };
    const third = await world.beside(); // each looks as it starts, and every minute
    await expect.poll(told).toEqual([{ client_id: 'keys-tpp', name: 'soon over' }]);
    const lines = await third.log.lines();
    expect(lines.filter(({ message }) => message === 'An API key ends soon')).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ level: 'warn', name: 'soon over' })]),
    );
    const metrics = await (await fetch(`${third.operationsOrigin}/metrics`)).text();
    expect(metrics).toMatch(/^countersign_api_keys_ending_total [1-9]/m);
    await third.stop();
    const fourth = await world.beside();
    await fourth.stop();
    expect(await told()).toHaveLength(1);
  });

  it('uses at both are counted together, and none is lost when a process stops', async () => {
    const { id, key } = await world.owner.make();
    const processes = await serverProcesses(server);
    const child = await processes.start();
    const { server: third } = child;
    const places = [server, beside, third];
    await Promise.all(
      Array.from({ length: 30 }, (_, i) => world.verify(key, { at: places[i % 3] ?? server })),
    );
    await world.verify(key, { as: 'other-keys-rs', at: third });
    expect(await child.stop()).toEqual({ code: 0, signal: null });
    await processes.close();
    const usage = () => rows(server, 'SELECT * FROM api_key_usage WHERE key_id = $1', [id]);
    expect(await usage()).toHaveLength(2);
    for (const { running } of [server, beside]) await running.app.apiKeys.flush();
    const read = await world.owner.call('GET', `${keysPath}/${id}/usage`);
    const day = new Date().toISOString().slice(0, 10);
    expect(read.body['days']).toMatchObject([
      { day, resource_server: bankApi, accepted: 30, refused: 0 },
      { day, accepted: 0, refused: 1 },
    ]);
    const { body } = await world.owner.call('GET', `${keysPath}/${id}`);
    expect(Date.now() - Date.parse(String(body['last_used_at']))).toBeLessThan(60_000);
    const none = await world.owner.call(
      'GET',
      `${keysPath}/${id}/usage?from=2020-01-01&to=2020-02-01`,
    );
    expect(none.body).toEqual({ days: [] });
    const wrong = await world.owner.call('GET', `${keysPath}/${id}/usage?day=2020-01-01`);
    expect(wrong.status).toBe(400);
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyFrom } from '../../src/api-keys/key-format.ts';
import { bankApi, keysPath, otherApi, startKeyServer, verifyPath } from '../support/api-keys.ts';
import type { KeyServer, VerifyOptions } from '../support/api-keys.ts';
import { basic, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { everyTable, formsOf } from '../support/secrets-seen.ts';
import { stored } from '../support/stored.ts';

/** A key that is no good, how it is shown, and what the audit trail calls that. */
interface Useless {
  what: string;
  key: string;
  reason: string;
  how?: VerifyOptions;
}

let world: KeyServer;
let useless: Useless[];
let good: string;
/** Of the doomed client, which is suspended. */
let suspended: string;

beforeAll(async () => {
  world = await startKeyServer();
  const { server, owner } = world;
  good = (await owner.make()).key;
  suspended = (await world.doomed.make()).key;
  await server.running.app.clients.setStatus('keys-doomed', 'suspended');
  const revoked = await owner.make();
  await owner.call('DELETE', `${keysPath}/${revoked.id}`);
  const expired = await owner.make();
  await stored(
    server,
    `UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '${expired.id}'`,
  );
  const bound = await owner.make({ addresses: ['192.0.2.0/24'] });
  const elsewhere = await owner.make({ permissions: { [otherApi]: ['statements'] } });
  const address = '198.51.100.7';
  useless = [
    { what: 'cut off', key: good.slice(0, -1), reason: 'malformed' },
    { what: 'mistyped', key: swapLetters(good), reason: 'malformed' },
    { what: 'no key at all', key: 'x', reason: 'malformed' },
    { what: 'empty', key: '', reason: 'malformed' },
    { what: 'long', key: 'ck_test_'.repeat(120), reason: 'malformed' },
    { what: 'odd', key: "' OR 1=1 --\u{1F511}", reason: 'malformed' },
    { what: 'of production', key: keyFrom('live', randomBytes(32)), reason: 'malformed' },
    { what: 'never made', key: keyFrom('test', randomBytes(32)), reason: 'unknown' },
    { what: 'revoked', key: revoked.key, reason: 'revoked' },
    { what: 'expired', key: expired.key, reason: 'expired' },
    { what: 'from another address', key: bound.key, reason: 'address', how: { address } },
    { what: 'without an address', key: bound.key, reason: 'address' },
    { what: 'for another resource server', key: elsewhere.key, reason: 'foreign' },
    { what: 'of a suspended client', key: suspended, reason: 'foreign' },
  ];
});

afterAll(() => world.server.stop());

function swapLetters(key: string): string {
  const [a = '', b = ''] = key.slice(20, 22);
  const other = a === b ? (a === 'a' ? 'b' : 'a') : b;
  return key.slice(0, 20) + other + a + key.slice(22);
}

function comparable({ status, headers, text }: Answer) {
  const volatile = ['date', 'x-request-id'];
  return { status, headers: [...headers].filter(([name]) => !volatile.includes(name)), text };
}

describe('A key that is no good', () => {
  it('is refused in the same words, whatever is wrong with it; the audit trail knows', async () => {
    const { server } = world;
    for (const { what, key, reason, how } of useless) {
      const answer = await world.verify(key, how);
      expect([what, answer.status, answer.text]).toEqual([what, 200, '{"active":false}']);
      const other = await world.verify('other', how);
      expect([what, comparable(answer)]).toEqual([what, comparable(other)]);
      await server.running.app.audit.flush();
      const audited = await rows(
        server,
        `SELECT detail->>'reason' AS reason FROM audit_events WHERE type = 'api_key.refused'
         ORDER BY at DESC, id DESC OFFSET 1 LIMIT 1`,
      );
      expect([what, audited]).toEqual([what, [{ reason }]]);
    }
    expect((await world.verify(good)).body['active']).toBe(true);
  });

  it('is refused no sooner than after a time in which it could have been looked up', async () => {
    const { server } = world;
    for (const isRemembered of [false, true]) {
      for (const { what, key, how } of useless) {
        if (!isRemembered) await forgetAll(server.running.app.audit.flush());
        const startedAt = performance.now();
        await world.verify(key, how);
        // What takes longer waits for the machine, whatever the key: only a short time would tell.
        expect([what, performance.now() - startedAt > 24]).toEqual([what, true]);
      }
    }
  });
});

/** A change of anything makes the process read the keys anew. */
async function forgetAll(flushed: Promise<void>): Promise<void> {
  await flushed;
  await stored(world.server, `SELECT pg_notify('countersign_changes', 'api-keys:')`);
}

describe('A key', () => {
  it('is in no table, log or metric, nor in an answer after the first', async () => {
    const { server, owner, serverSecret } = world;
    const { id, key } = await owner.make();
    const rotated = await owner.call('POST', `${keysPath}/${id}/rotate`, {
      body: { overlap_seconds: 60 },
    });
    const keys = [good, suspended, key, String(rotated.body['key'])];
    const headers = { ...basic('keys-rs', serverSecret), 'content-type': 'application/json' };
    const url = server.issuer + verifyPath;
    const answers = [];
    for (const one of keys) {
      answers.push(await world.verify(one), await world.verify(swapLetters(one)));
      const bodies = [JSON.stringify({ key: [one] }), JSON.stringify({ [one]: one }), `{"${one}`];
      for (const body of bodies) {
        await send(server.fetch(), url, { method: 'POST', headers, body });
      }
      await owner.call('GET', `${keysPath}/${one}`);
      await owner.call('GET', `${keysPath}?after=${one}`);
      await owner.call('GET', keysPath, { token: one });
      await send(server.fetch(), `${url}?key=${one}`, { method: 'POST', headers, body: '{}' });
      await send(server.fetch(), url, { headers: { ...headers, 'x-api-key': one } });
      const named = { ...keyNamed(one), permissions: { [bankApi]: ['accounts'] } };
      answers.push(await owner.call('POST', keysPath, { body: { ...named, extra: one } }));
    }
    answers.push(await owner.call('GET', keysPath), await owner.call('GET', `${keysPath}/${id}`));
    await server.running.app.audit.flush();
    const places = await everyTable(server);
    places.set('log', await server.log.raw());
    places.set('metrics', await (await fetch(`${server.operationsOrigin}/metrics`)).text());
    places.set('answers', answers.map(({ text }) => text).join('\n'));
    expect(places.get('log')).toContain('api_key.refused');
    expect(places.get('metrics')).toContain('countersign_api_key_verifications_total');
    const leaks = keys.flatMap((one) =>
      [one, one.slice(14)].flatMap((secret) =>
        [...places].flatMap(([place, text]) =>
          formsOf(secret).some((form) => text.includes(form)) ? [place] : [],
        ),
      ),
    );
    expect([...new Set(leaks)]).toEqual([]);
  });
});

/** Somebody pastes a key where the name goes. */
function keyNamed(key: string) {
  return { name: key, expires_at: '2020-01-01T00:00:00Z' };
}

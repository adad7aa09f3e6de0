import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRevocationCache } from '../../src/tls/revocation/revocation-cache.ts';
import { createTestCertificates } from '../support/certificates.ts';
import { hoursFromNow, revocationList } from '../support/revocation.ts';
import { createRevocationWorld, x509 } from '../support/revocation-world.ts';
import type { RevocationWorld } from '../support/revocation-world.ts';

let world: RevocationWorld;

beforeEach(async () => {
  world = await createRevocationWorld();
});

afterEach(() => world.server.close());

describe('A list that was fetched', () => {
  it('serves every request of its time, and several that come at once', async () => {
    const [client, other] = [x509(await world.listedClient()), x509(await world.listedClient())];
    await world.serveList();
    const revocation = world.revocationWith();
    const checks = [client, other, client].map((one) => revocation.check([one]));
    expect(new Set((await Promise.all(checks)).map(({ status }) => status))).toEqual(
      new Set(['good']),
    );
    await revocation.check([client]);
    expect(world.server.reached).toEqual(['/list']);
  });

  it('is renewed behind a request before its hour is over, so that a revocation is seen', async () => {
    const client = await world.listedClient();
    await world.serveList();
    const revocation = world.revocationWith();
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    await world.serveList({ revoked: [client] });
    world.moveTo(0.8);
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    await expect.poll(async () => (await revocation.check([x509(client)])).status).toBe('revoked');
    expect(world.server.reached).toHaveLength(2);
  });

  it('is renewed before an answer when its hour is over', async () => {
    const client = await world.listedClient();
    await world.serveList();
    const revocation = world.revocationWith();
    await revocation.check([x509(client)]);
    await world.serveList({ revoked: [client] });
    world.moveTo(1.1);
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
  });

  it('goes on to count while its server is away, but not once it is out of date', async () => {
    const client = x509(await world.listedClient());
    await world.serveList({ nextUpdate: hoursFromNow(5) });
    const revocation = world.revocationWith();
    await revocation.check([client]);
    world.server.documents.clear();
    world.moveTo(2);
    expect(await revocation.check([client])).toEqual({ status: 'good' });
    world.moveTo(6);
    expect(await revocation.check([client])).toMatchObject({ status: 'unknown' });
    expect(world.failures).toEqual(['crl', 'crl']);
  });

  it('is not taken back by an older one', async () => {
    const client = await world.listedClient();
    await world.serveList({ revoked: [client] });
    const revocation = world.revocationWith();
    await revocation.check([x509(client)]);
    await world.serveList({ thisUpdate: hoursFromNow(-10) });
    world.moveTo(2);
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
    expect(world.server.reached).toHaveLength(2);
  });

  it('is not kept out by a newer one that somebody else signed', async () => {
    const client = await world.listedClient();
    const { authority: stranger } = await createTestCertificates();
    world.server.documents.set('/list', await revocationList(stranger));
    const revocation = world.revocationWith();
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'unknown' });
    await world.serveList({ thisUpdate: hoursFromNow(-10) });
    world.moveTo(1.1);
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
  });

  it('tells its age', async () => {
    await world.serveList({ thisUpdate: hoursFromNow(-3) });
    const revocation = world.revocationWith({ urls: [world.server.url('/list')] });
    await revocation.preload();
    const [[source, seconds] = ['', 0]] = [...revocation.listAges()];
    expect(source).toBe(world.server.url('/list'));
    expect(Math.round(seconds / 3600)).toBe(3);
  });
});

describe('The memory of lists', () => {
  it('is as large as what it holds, and forgets what was not asked for the longest', async () => {
    const cache = createRevocationCache<string>({
      ...{ floorSeconds: 60, ceilingSeconds: 3600, maxSize: 100 },
      clock: { now: () => hoursFromNow(0) },
    });
    const load = (value: string) => () =>
      Promise.resolve({ value, holdsUntil: hoursFromNow(1), size: 60 });
    expect(await cache.get('/first', load('first'))).toBe('first');
    expect(await cache.get('/second', load('second'))).toBe('second');
    expect([...cache.known()]).toEqual([['/second', 'second']]);
  });
});

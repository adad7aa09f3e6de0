import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hoursFromNow } from '../support/revocation.ts';
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

  it('tells its age', async () => {
    await world.serveList({ thisUpdate: hoursFromNow(-3) });
    const revocation = world.revocationWith({ urls: [world.server.url('/list')] });
    await revocation.preload();
    const [[source, seconds] = ['', 0]] = [...revocation.listAges()];
    expect(source).toBe(world.server.url('/list'));
    expect(Math.round(seconds / 3600)).toBe(3);
  });
});

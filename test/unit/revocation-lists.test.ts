import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  forgedCertificate,
  hoursFromNow,
  longRevocationList,
  namesLists,
} from '../support/revocation.ts';
import type { ListOptions } from '../support/revocation.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';
import { clientCertificate } from '../support/certificates.ts';
import { createRevocationWorld, x509 } from '../support/revocation-world.ts';
import type { RevocationWorld } from '../support/revocation-world.ts';

let world: RevocationWorld;

beforeEach(async () => {
  world = await createRevocationWorld();
});

afterEach(() => world.server.close());

describe('A certificate that names a revocation list', () => {
  it('is good when the list does not have it, and its issuer need not be sent', async () => {
    const [client, other] = [await world.listedClient(), await world.listedClient()];
    await world.serveList({ revoked: [other] });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
    expect(world.outcomes).toEqual(['good']);
  });

  it('is revoked when the list has it, and the reason is told', async () => {
    const client = await world.listedClient();
    await world.serveList({ revoked: [await world.listedClient(), client], reason: 1 });
    const verdict = await world.revocationWith().check([x509(client)]);
    expect(verdict).toEqual({
      status: 'revoked',
      reason: `key compromise (${world.server.url('/list')})`,
    });
    expect(world.outcomes).toEqual(['revoked']);
  });

  it('is revoked by a list of 20,000, which is read in turns', async () => {
    const client = await world.listedClient();
    world.server.documents.set(
      '/list',
      longRevocationList(world.certificates.authority, client, 20_000),
    );
    const revocation = world.revocationWith({ maxBodyBytes: 10_000_000 });
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
  });

  it('is of unknown status while the list is away, and asked for again a minute later only', async () => {
    const client = x509(await world.listedClient());
    const revocation = world.revocationWith();
    expect(await revocation.check([client])).toMatchObject({
      status: 'unknown',
      reason: expect.stringContaining('404') as string,
    });
    await world.serveList();
    expect(await revocation.check([client])).toMatchObject({ status: 'unknown' });
    expect([world.server.reached, world.failures, world.outcomes]).toEqual([
      ['/list'],
      ['crl'],
      ['unknown', 'unknown'],
    ]);
    world.moveTo(0.02);
    expect(await revocation.check([client])).toEqual({ status: 'good' });
  });

  const scope = (...members: Buffer[]) => ({
    id: '2.5.29.28',
    critical: true,
    value: writeDer(derTag.sequence, ...members),
  });
  const yes = Buffer.from([0xff]);

  it.each<[string, () => ListOptions, RegExp]>([
    [
      'is signed by another authority',
      () => ({ signer: world.certificates.foreignAuthority }),
      /signed/,
    ],
    ['is out of date', () => ({ nextUpdate: hoursFromNow(-0.5) }), /out of date/],
    ['is from the future', () => ({ thisUpdate: hoursFromNow(1) }), /from the future/],
    ['does not say until when it holds', () => ({ nextUpdate: null }), /until when/],
    [
      'says something critical that we do not know',
      () => ({ extensions: [{ id: '1.2.3', critical: true, value: Buffer.alloc(2) }] }),
      /critical extension 1\.2\.3/,
    ],
    [
      'is a delta',
      () => ({ extensions: [{ id: '2.5.29.27', critical: true, value: Buffer.alloc(2) }] }),
      /delta/,
    ],
    ['is indirect', () => ({ extensions: [scope(writeDer(0x84, yes))] }), /indirect/],
    [
      'knows some reasons only',
      () => ({ extensions: [scope(writeDer(0x83, Buffer.from([0, 1])))] }),
      /some reasons/,
    ],
    ['is about authorities', () => ({ extensions: [scope(writeDer(0x82, yes))] }), /about others/],
    [
      'is another part of a divided list',
      () => ({
        extensions: [
          scope(
            writeDer(
              0xa0,
              writeDer(0xa0, writeDer(0x86, Buffer.from('http://elsewhere.example/'))),
            ),
          ),
        ],
      }),
      /about others/,
    ],
  ])('is of unknown status when the list %s', async (_, options, reason) => {
    const client = await world.listedClient();
    await world.serveList(options());
    const verdict = await world.revocationWith().check([x509(client)]);
    expect(verdict).toMatchObject({ status: 'unknown' });
    expect('reason' in verdict && verdict.reason).toMatch(reason);
  });

  it('is of unknown status when an entry of the list says something critical that we do not know', async () => {
    const client = await world.listedClient();
    const certificateIssuer = { id: '2.5.29.29', critical: true, value: Buffer.alloc(2) };
    await world.serveList({
      revoked: [await world.listedClient()],
      entryExtensions: [certificateIssuer],
    });
    expect(await world.revocationWith().check([x509(client)])).toMatchObject({ status: 'unknown' });
  });

  it('is good by the part of a divided list that it names', async () => {
    const client = await world.listedClient();
    const name = writeDer(0x86, Buffer.from(world.server.url('/list')));
    await world.serveList({
      extensions: [scope(writeDer(0xa0, writeDer(0xa0, name)), writeDer(0x81, yes))],
    });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
  });

  it('stays revoked by a list that has gone out of date', async () => {
    const client = await world.listedClient();
    await world.serveList({ revoked: [client], nextUpdate: hoursFromNow(-0.5) });
    expect(await world.revocationWith().check([x509(client)])).toMatchObject({ status: 'revoked' });
  });

  it.each([
    ['too long', Buffer.alloc(1001, 0x30), /longer than 1000 bytes/],
    ['no list', Buffer.from('<html>'), /malformed/],
    ['a cut off list', Buffer.from('30820400', 'hex'), /malformed|past the end/],
    ['empty', Buffer.alloc(0), /malformed/],
  ])('is of unknown status when what is sent is %s', async (_, document, reason) => {
    world.server.documents.set('/list', document);
    const client = await world.listedClient();
    const verdict = await world.revocationWith({ maxBodyBytes: 1000 }).check([x509(client)]);
    expect(verdict).toMatchObject({ status: 'unknown' });
    expect('reason' in verdict && verdict.reason).toMatch(reason);
  });

  it('does not make us reach private addresses that nobody listed', async () => {
    const client = await world.listedClient();
    await world.serveList();
    const verdict = await world.revocationWith({ allowedHosts: [] }).check([x509(client)]);
    expect(verdict).toMatchObject({ status: 'unknown' });
    expect('reason' in verdict && verdict.reason).toMatch(/not a public address/);
    expect(world.server.reached).toEqual([]);
  });

  it('for some reasons only, or by another issuer, is of unknown status', async () => {
    const url = writeDer(0x86, Buffer.from(world.server.url('/list')));
    const point = writeDer(0xa0, writeDer(0xa0, url));
    await world.serveList();
    for (const restriction of [writeDer(0x81, Buffer.from([0, 1])), writeDer(0xa2, url)]) {
      const value = writeDer(derTag.sequence, writeDer(derTag.sequence, point, restriction));
      const client = await clientCertificate(world.certificates.authority, {
        extensions: [{ id: '2.5.29.31', critical: false, value }],
      });
      expect(await world.revocationWith().check([x509(client)])).toMatchObject({
        status: 'unknown',
        reason: 'no source that the certificate names may be used',
      });
    }
    expect(world.server.reached).toEqual([]);
  });

  it('that only says that we trust its issuer sends us nowhere', async () => {
    const names = namesLists(world.server.url('/list'));
    const forged = forgedCertificate(world.certificates.authority, [names]);
    await world.serveList();
    expect(await world.revocationWith().check([x509(forged)])).toMatchObject({ status: 'unknown' });
    expect(world.server.reached).toEqual([]);
  });

  it('of an authority that we do not trust sends us nowhere', async () => {
    const client = await world.listedClient();
    await world.serveList();
    const revocation = world.revocationWith({ authorities: [world.certificates.foreignAuthority] });
    const chain = [x509(client), x509(world.certificates.authority)];
    expect(await revocation.check(chain)).toMatchObject({ status: 'unknown' });
    expect(world.server.reached).toEqual([]);
  });
});

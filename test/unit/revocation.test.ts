import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { clientCertificate } from '../support/certificates.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { intermediate } from '../support/certificate-chains.ts';
import { namesLists, revocationList } from '../support/revocation.ts';
import type { ListOptions } from '../support/revocation.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';
import { createRevocationWorld, x509 } from '../support/revocation-world.ts';
import type { RevocationWorld } from '../support/revocation-world.ts';

let world: RevocationWorld;

let directory: TemporaryDirectory;

beforeAll(async () => {
  directory = await temporaryDirectory();
});

afterAll(() => directory.remove());

beforeEach(async () => {
  world = await createRevocationWorld();
});

afterEach(() => world.server.close());

describe('A certificate that names no source', () => {
  const nameless = () => clientCertificate(world.certificates.authority);

  it('is of unknown status, unless the setting lets it pass', async () => {
    const client = x509(await nameless());
    expect(await world.revocationWith().check([client])).toMatchObject({ status: 'unknown' });
    const accepting = world.revocationWith({ acceptWithoutSource: true });
    expect(await accepting.check([client])).toEqual({ status: 'good' });
  });

  it('does not pass when a list that is configured can not be had', async () => {
    const revocation = world.revocationWith({
      acceptWithoutSource: true,
      urls: [world.server.url('/away')],
    });
    expect(await revocation.check([x509(await nameless())])).toMatchObject({ status: 'unknown' });
  });

  it('is checked against the configured list of its issuer, not of another one', async () => {
    const client = await nameless();
    await world.serveList({ revoked: [client] });
    const foreign = await revocationList(world.certificates.foreignAuthority, {
      revoked: [client],
    });
    world.server.documents.set('/foreign', foreign);
    const own = world.revocationWith({ urls: [world.server.url('/list')] });
    expect(await own.check([x509(client)])).toMatchObject({ status: 'revoked' });
    const other = world.revocationWith({ urls: [world.server.url('/foreign')] });
    expect(await other.check([x509(client)])).toMatchObject({ status: 'unknown' });
  });

  it.each(['DER', 'PEM'])(
    'is checked against a %s file, which is read again when it changes',
    async (form) => {
      const file = path.join(directory.path, `${form}.crl`);
      const client = await nameless();
      const write = async (options: ListOptions) => {
        const der = await revocationList(world.certificates.authority, options);
        const pem = `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
        await writeFile(file, form === 'DER' ? der : pem);
      };
      await write({});
      const revocation = world.revocationWith({ files: [file] });
      expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
      await write({ revoked: [client] });
      world.moveTo(0.01);
      expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
    },
  );

  it('is of unknown status when the file is missing', async () => {
    const revocation = world.revocationWith({
      files: ['/nowhere/list.crl'],
      acceptWithoutSource: true,
    });
    const verdict = await revocation.check([x509(await nameless())]);
    expect('reason' in verdict && verdict.reason).toMatch(/list\.crl: ENOENT/);
  });
});

describe('An intermediate authority', () => {
  it('is checked as well, against the list of its own issuer', async () => {
    const { authority } = world.certificates;
    const issuing = intermediate(authority, { further: [namesLists(world.server.url('/list'))] });
    const names = [namesLists(world.server.url('/issuing'))];
    const client = await clientCertificate(issuing, { extensions: names });
    world.server.documents.set('/issuing', await revocationList(issuing));
    await world.serveList();
    const chain = [client, issuing].map(x509);
    expect(await world.revocationWith().check(chain)).toEqual({ status: 'good' });
    expect(world.server.reached.toSorted()).toEqual(['/issuing', '/list']);
    await world.serveList({ revoked: [issuing] });
    expect(await world.revocationWith().check(chain)).toMatchObject({ status: 'revoked' });
    const [leaf] = chain;
    expect(await world.revocationWith().check(leaf === undefined ? [] : [leaf])).toMatchObject({
      status: 'unknown',
      reason: 'the chain is not trusted',
    });
  });

  it('that is trusted by itself ends the chain', async () => {
    const issuing = intermediate(world.certificates.foreignAuthority);
    const names = [namesLists(world.server.url('/issuing'))];
    const client = await clientCertificate(issuing, { extensions: names });
    world.server.documents.set('/issuing', await revocationList(issuing));
    const revocation = world.revocationWith({ authorities: [issuing] });
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
  });

  it('may sign its list with another key of the same name that is trusted', async () => {
    const { authority } = world.certificates;
    const issuing = intermediate(authority);
    const [lists, noLists] = [
      intermediate(authority),
      await clientCertificate(authority, { subject: 'CN=Issuing CA' }),
    ];
    const client = await clientCertificate(issuing, {
      extensions: [namesLists(world.server.url('/issuing'))],
    });
    world.server.documents.set('/issuing', await revocationList(issuing, { signer: lists }));
    const check = (authorities: IssuedCertificate[]) =>
      world
        .revocationWith({ authorities, acceptWithoutSource: true })
        .check([client, issuing].map(x509));
    expect(await check([authority])).toMatchObject({ status: 'unknown' });
    expect(await check([authority, lists])).toEqual({ status: 'good' });
    world.server.documents.set('/issuing', await revocationList(issuing, { signer: noLists }));
    expect(await check([authority, noLists])).toMatchObject({ status: 'unknown' });
  });
});

describe('The fail mode', () => {
  it('"open" accepts an unknown status with a warning, and counts it apart', async () => {
    const client = await world.listedClient();
    const revocation = world.revocationWith({ mode: 'open' });
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    expect(world.outcomes).toEqual(['accepted']);
    expect(await world.log.lines()).toContainEqual(
      expect.objectContaining({ message: 'A certificate of unknown status was accepted' }),
    );
  });

  it('"open" refuses who was revoked', async () => {
    const client = await world.listedClient();
    await world.serveList({ revoked: [client] });
    const revocation = world.revocationWith({ mode: 'open' });
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
  });

  it('"off" asks nobody', async () => {
    const client = await world.listedClient();
    await world.serveList({ revoked: [client] });
    const revocation = world.revocationWith({ mode: 'off', urls: [world.server.url('/list')] });
    await revocation.preload();
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    expect(world.server.reached).toEqual([]);
  });

  it('"closed" refuses a certificate whose sources may not be used', async () => {
    const client = await world.listedClient();
    const revocation = world.revocationWith({ fromCertificates: false, acceptWithoutSource: true });
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'unknown' });
  });
});

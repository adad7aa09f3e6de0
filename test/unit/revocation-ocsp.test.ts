import { createHash } from 'node:crypto';
import * as pkijs from 'pkijs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { objectIdentifier } from '../../src/development/certificate-builder.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';
import { clientCertificate, serverCertificate } from '../support/certificates.ts';
import {
  forgedCertificate,
  hoursFromNow,
  namesLists,
  namesResponder,
  ocspAnswer,
  revocationList,
} from '../support/revocation.ts';
import type { AnswerOptions } from '../support/revocation.ts';
import { createRevocationWorld, x509 } from '../support/revocation-world.ts';
import type { RevocationWorld } from '../support/revocation-world.ts';

const ocspSigning = '1.3.6.1.5.5.7.3.9';

let world: RevocationWorld;
let client: IssuedCertificate;

beforeEach(async () => {
  world = await createRevocationWorld();
  client = await clientCertificate(world.certificates.authority, {
    extensions: [namesResponder(world.server.url('/ocsp'))],
  });
});

afterEach(() => world.server.close());

function answerWith(options: AnswerOptions = {}, at = '/ocsp'): void {
  const { authority } = world.certificates;
  world.server.documents.set(at, (request) => ocspAnswer(authority, request, options));
}

/** A certificate of the authority for signing answers. */
function responder(options: Parameters<typeof clientCertificate>[1] = {}) {
  return clientCertificate(world.certificates.authority, {
    subject: 'CN=Responder',
    extendedKeyUsage: [ocspSigning],
    ...options,
  });
}

async function reasonOf(revocation = world.revocationWith()): Promise<string> {
  const verdict = await revocation.check([x509(client)]);
  if (verdict.status === 'unknown') return verdict.reason;
  throw new Error(`the status is ${verdict.status}`);
}

describe('A certificate that names a responder', () => {
  it('is good when the responder says so', async () => {
    answerWith();
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
  });

  it('is asked about by the names, key and serial number of RFC 6960', async () => {
    let asked: pkijs.CertID | undefined;
    const { authority } = world.certificates;
    world.server.documents.set('/ocsp', (request) => {
      const { tbsRequest } = pkijs.OCSPRequest.fromBER(new Uint8Array(request));
      asked = tbsRequest.requestList[0]?.reqCert;
      return ocspAnswer(authority, request);
    });
    await world.revocationWith().check([x509(client)]);
    const issuer = pkijs.Certificate.fromBER(new Uint8Array(x509(authority).raw));
    const hash = (bytes: ArrayBuffer | Uint8Array) =>
      createHash('sha1').update(new Uint8Array(bytes)).digest('hex');
    const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
    expect(hex(asked?.issuerNameHash.valueBlock.valueHexView)).toBe(
      hash(issuer.subject.valueBeforeDecode),
    );
    expect(hex(asked?.issuerKeyHash.valueBlock.valueHexView)).toBe(
      hash(issuer.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView),
    );
    expect(hex(asked?.serialNumber.valueBlock.valueHexView)).toBe(
      x509(client).serialNumber.toLowerCase(),
    );
  });

  it.each([
    [{ reason: 4 }, 'superseded (OCSP)'],
    [{}, 'unspecified (OCSP)'],
  ])('is revoked when the responder says so, with its reason (%j)', async (options, reason) => {
    answerWith({ status: 'revoked', ...options });
    expect(await world.revocationWith().check([x509(client)])).toEqual({
      status: 'revoked',
      reason,
    });
  });

  it('is good by an answer without a nonce, as those are that were made beforehand', async () => {
    answerWith({ nonce: 'none' });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
  });

  it('is good by an answer without an end that is fresh, not by one that is older than an hour', async () => {
    answerWith({ nextUpdate: null, thisUpdate: hoursFromNow(-0.5) });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
    answerWith({ nextUpdate: null, thisUpdate: hoursFromNow(-1.5) });
    expect(await reasonOf()).toMatch(/out of date/);
  });

  it('is of unknown status when the responder does not know it', async () => {
    answerWith({ status: 'unknown' });
    expect(await reasonOf()).toMatch(/does not know/);
    expect(world.failures).toEqual([]);
  });

  const critical = { id: '1.2.3', critical: true, value: Buffer.alloc(2) };

  it.each<[string, () => AnswerOptions, RegExp]>([
    ['answers another request', () => ({ nonce: 'wrong' }), /another request/],
    [
      'plays an old answer back',
      () => ({ nextUpdate: hoursFromNow(-0.5), nonce: 'none' }),
      /out of date/,
    ],
    ['is ahead of time', () => ({ thisUpdate: hoursFromNow(1) }), /from the future/],
    ['will have answered', () => ({ producedAt: hoursFromNow(1) }), /from the future/],
    [
      'speaks of another certificate',
      () => ({ about: world.certificates.server }),
      /another certificate/,
    ],
    ['says something critical', () => ({ extensions: [critical] }), /critical extension 1\.2\.3/],
    [
      'has the key of somebody else',
      () => ({ signer: world.certificates.foreignAuthority }),
      /not signed by the issuer/,
    ],
    [
      'is another authority',
      () => ({
        signer: world.certificates.foreignAuthority,
        certificates: [world.certificates.foreignAuthority],
      }),
      /has another issuer/,
    ],
  ])('is of unknown status when the responder %s', async (_, options, reason) => {
    answerWith(options());
    expect(await reasonOf()).toMatch(reason);
    expect(world.failures).toEqual(['ocsp']);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a page', Buffer.from('<html>')],
    ['"try later"', Buffer.from('30030a0103', 'hex')],
    ['half an answer', Buffer.from('30820100a0', 'hex')],
  ])('is of unknown status when the responder sends %s', async (_, document) => {
    world.server.documents.set('/ocsp', document);
    expect(await reasonOf()).toMatch(/^http.*The OCSP answer is/);
  });
});

describe('A responder that the issuer appointed', () => {
  it('is believed when its certificate has the purpose', async () => {
    const signer = await responder();
    answerWith({ signer, certificates: [signer] });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
  });

  it.each<[string, Parameters<typeof clientCertificate>[1], RegExp]>([
    ['has no purpose', { extendedKeyUsage: [] }, /lacks the purpose/],
    ['is a client', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }, /lacks the purpose/],
    ['may do anything', { extendedKeyUsage: ['2.5.29.37.0'] }, /lacks the purpose/],
    [
      'has expired',
      { notBefore: hoursFromNow(-9), notAfter: hoursFromNow(-8) },
      /the responder expired/,
    ],
  ])('is not believed when it %s', async (_, options, reason) => {
    const signer = await responder(options);
    answerWith({ signer, certificates: [signer] });
    expect(await reasonOf()).toMatch(reason);
  });

  it('is not believed when it was revoked, unless its certificate says not to check', async () => {
    const { authority } = world.certificates;
    const names = namesLists(world.server.url('/list'));
    const signer = await responder({ extensions: [names] });
    const noCheck = {
      id: '1.3.6.1.5.5.7.48.1.5',
      critical: false,
      value: Buffer.from('0500', 'hex'),
    };
    const unchecked = await responder({ extensions: [names, noCheck] });
    const revoked = [signer, unchecked];
    world.server.documents.set('/list', await revocationList(authority, { revoked }));
    answerWith({ signer, certificates: [signer] });
    expect(await reasonOf()).toMatch(/responder was revoked/);
    answerWith({ signer: unchecked, certificates: [unchecked] });
    expect(await world.revocationWith().check([x509(client)])).toEqual({ status: 'good' });
  });

  it('is not believed when it only says that the issuer appointed it', async () => {
    const purpose = writeDer(derTag.sequence, objectIdentifier(ocspSigning));
    const signer = forgedCertificate(world.certificates.authority, [
      { id: '2.5.29.37', critical: false, value: purpose },
    ]);
    answerWith({ signer, certificates: [signer] });
    expect(await reasonOf()).toMatch(/has another issuer/);
  });

  it('is not believed when it is a server of the same authority', async () => {
    const signer = await serverCertificate(world.certificates.authority);
    answerWith({ signer, certificates: [signer] });
    expect(await reasonOf()).toMatch(/lacks the purpose/);
  });
});

describe('An answer', () => {
  it('serves every request of its hour, and several that come at once', async () => {
    answerWith();
    const revocation = world.revocationWith();
    const verdicts = await Promise.all([1, 2, 3].map(() => revocation.check([x509(client)])));
    expect(verdicts).toEqual([{ status: 'good' }, { status: 'good' }, { status: 'good' }]);
    expect(world.server.reached).toEqual(['/ocsp']);
    answerWith({ status: 'revoked' });
    world.moveTo(1.1);
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
  });

  it('is not taken back by an older one that is played back', async () => {
    answerWith({ status: 'revoked', thisUpdate: hoursFromNow(-1) });
    const revocation = world.revocationWith();
    await revocation.check([x509(client)]);
    answerWith({ thisUpdate: hoursFromNow(-10), nonce: 'none' });
    world.moveTo(2);
    expect(await revocation.check([x509(client)])).toMatchObject({ status: 'revoked' });
    expect(world.server.reached).toHaveLength(2);
  });

  it('goes on to count while the responder is away, but not once it is out of date', async () => {
    answerWith({ nextUpdate: hoursFromNow(5) });
    const revocation = world.revocationWith();
    await revocation.check([x509(client)]);
    world.server.documents.clear();
    world.moveTo(4);
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    world.moveTo(6);
    expect(await reasonOf(revocation)).toMatch(/out of date/);
  });
});

describe('The order', () => {
  it('is the responder, then the list when it does not answer', async () => {
    const { authority } = world.certificates;
    const both = await clientCertificate(authority, {
      extensions: [
        namesResponder(world.server.url('/ocsp')),
        namesLists(world.server.url('/list')),
      ],
    });
    await world.serveList({ revoked: [both] });
    expect(await world.revocationWith().check([x509(both)])).toMatchObject({ status: 'revoked' });
    expect(world.server.reached).toEqual(['/ocsp', '/list']);
    answerWith();
    expect(await world.revocationWith().check([x509(both)])).toEqual({ status: 'good' });
    const listsOnly = world.revocationWith({ methods: ['crl'] });
    expect(await listsOnly.check([x509(both)])).toMatchObject({ status: 'revoked' });
  });

  it('asks the configured responder instead of those that certificates name', async () => {
    answerWith({ status: 'revoked' });
    answerWith({}, '/ours');
    const revocation = world.revocationWith({ responderUrl: world.server.url('/ours') });
    expect(await revocation.check([x509(client)])).toEqual({ status: 'good' });
    expect(world.server.reached).toEqual(['/ours']);
  });
});

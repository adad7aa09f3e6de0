import { X509Certificate } from 'node:crypto';
import * as asn1js from 'asn1js';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../src/problem.ts';
import { readPsd2 } from '../../src/tls/qc-statements.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';

const psd2Id = '0.4.0.19495.2';
const typesId = '0.4.0.1862.1.6';
const role = (number: number) => `0.4.0.19495.1.${String(number)}`;
const web = '0.4.0.1862.1.6.3';

const { authority } = await createTestCertificates();

const sequence = (...value: asn1js.BaseBlock[]) => new asn1js.Sequence({ value });
const objectId = (value: string) => new asn1js.ObjectIdentifier({ value });
const utf8 = (value: string) => new asn1js.Utf8String({ value });

type Roles = readonly (readonly [id: string, name: string])[];

function psd2(roles: Roles, ncaName = 'Financial Conduct Authority', ncaId = 'GB-FCA') {
  const entries = roles.map(([id, name]) => sequence(objectId(id), utf8(name)));
  return statement(psd2Id, sequence(sequence(...entries), utf8(ncaName), utf8(ncaId)));
}

function types(...ids: string[]) {
  return statement(typesId, sequence(...ids.map(objectId)));
}

function statement(id: string, type?: asn1js.BaseBlock) {
  return new pkijs.QCStatement({ id, ...(type !== undefined && { type }) });
}

function der(...values: pkijs.QCStatement[]): Buffer {
  const statements = new pkijs.QCStatements();
  statements.values = values;
  return Buffer.from(statements.toSchema().toBER());
}

async function certificateWith(value: Buffer | undefined, subject?: string) {
  const extensions =
    value === undefined ? [] : [{ id: '1.3.6.1.5.5.7.1.3', critical: false, value }];
  const { certificatePem } = await clientCertificate(authority, {
    extensions,
    ...(subject !== undefined && { subject }),
  });
  return new X509Certificate(certificatePem);
}

function outcomeOf(certificate: X509Certificate): string {
  try {
    return readPsd2(certificate) === undefined ? 'none' : 'read';
  } catch (error) {
    return error instanceof Problem ? 'refused' : 'another failure';
  }
}

const all: Roles = [
  [role(1), 'PSP_AS'],
  [role(2), 'PSP_PI'],
  [role(3), 'PSP_AI'],
  [role(4), 'PSP_IC'],
];

describe('The PSD2 statement of a certificate', () => {
  it('says roles, authority, authorization number and what the certificate is for', async () => {
    const value = der(statement('0.4.0.1862.1.1'), psd2(all), types(web));
    expect(readPsd2(await certificateWith(value))).toEqual({
      roles: ['PSP_AS', 'PSP_PI', 'PSP_AI', 'PSP_IC'],
      ncaName: 'Financial Conduct Authority',
      ncaId: 'GB-FCA',
      organizationIdentifier: 'PSDGB-FCA-123456',
      authorizationNumber: '123456',
      types: ['web'],
    });
  });

  it('is read from the bytes that the ASN.1 module asks for', async () => {
    // Put together by hand from the ASN.1 module, not by the library that reads it.
    const roles =
      '3011 0607040081982701 02 0c06 5053505f5049 3011 0607040081982701 03 0c06 5053505f4149';
    const value = Buffer.from(
      `30453043060604008198270230393026${roles}0c05426146696e0c0844452d424146494e`.replaceAll(
        ' ',
        '',
      ),
      'hex',
    );
    expect(readPsd2(await certificateWith(value, 'CN=x,2.5.4.97=VATDE-1'))).toEqual({
      roles: ['PSP_PI', 'PSP_AI'],
      ncaName: 'BaFin',
      ncaId: 'DE-BAFIN',
      organizationIdentifier: 'VATDE-1',
      types: [],
    });
  });

  it('is absent where the certificate has none', async () => {
    expect(readPsd2(await certificateWith(undefined))).toBeUndefined();
    expect(readPsd2(await certificateWith(der(types(web))))).toBeUndefined();
  });

  it('gives no role for one that we do not know', async () => {
    const value = der(
      psd2([
        [role(9), 'PSP_XX'],
        [role(3), 'PSP_AI'],
        [role(3), 'PSP_AI'],
      ]),
    );
    expect(readPsd2(await certificateWith(value))?.roles).toEqual(['PSP_AI']);
  });

  it.each([
    ['calls a role by the name of another', der(psd2([[role(3), 'PSP_AS']]))],
    ['is there twice', der(psd2(all), psd2([]))],
    ['names no authority', der(psd2(all, ''))],
    ['has a name with a line break', der(psd2(all, 'FCA\nroot'))],
    ['has a name of 257 characters', der(psd2(all, 'x'.repeat(257)))],
    ['lists too many roles', der(psd2(Array.from({ length: 33 }, () => [role(1), 'PSP_AS'])))],
    ['is empty', der(statement(psd2Id, sequence()))],
    ['has no information', der(statement(psd2Id))],
    ['is a text', der(statement(psd2Id, utf8('PSP_AS')))],
    [
      'has a member too many',
      der(statement(psd2Id, sequence(sequence(), utf8('a'), utf8('b'), utf8('c')))),
    ],
    ['is followed by something', Buffer.concat([der(psd2(all)), Buffer.from('0500', 'hex')])],
    ['is cut off', der(psd2(all)).subarray(0, 30)],
    [
      'is too long',
      der(...Array.from({ length: 1000 }, (_, n) => statement(`1.2.840.${String(n)}.1.1.1.1.1`))),
    ],
    ['is no DER', Buffer.from('statements')],
  ])('is refused when it %s', async (_, value) => {
    const certificate = await certificateWith(value);
    expect(() => readPsd2(certificate)).toThrow(
      expect.objectContaining({ code: 'certificate_invalid' }) as Error,
    );
  });

  it('is refused when the subject has two organization identifiers', async () => {
    const subject = 'CN=x,2.5.4.97=PSDGB-FCA-1,2.5.4.97=PSDGB-FCA-2';
    const certificate = await certificateWith(der(psd2(all)), subject);
    expect(() => readPsd2(certificate)).toThrow(/two organization identifiers/);
  });

  it('never fails in another way, whatever bytes there are', async () => {
    const valid = der(psd2(all), types(web));
    const changed = fc
      .tuple(fc.nat(valid.length - 1), fc.nat(255))
      .map(([at, byte]) =>
        Buffer.concat([valid.subarray(0, at), Buffer.from([byte]), valid.subarray(at + 1)]),
      );
    const garbage = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, garbage), async (value) => {
        const certificate = await certificateWith(value);
        expect(outcomeOf(certificate)).not.toBe('another failure');
      }),
      { numRuns: 300 },
    );
  });
});

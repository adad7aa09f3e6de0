import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { buildCertificate } from '../../src/development/certificate-builder.ts';
import { subjectAlternativeName } from '../../src/development/certificate-extensions.ts';
import {
  certificateSubjectMatches,
  explainSubjectMismatch,
  type CertificateSubjectProperty,
} from '../../src/tls/names/certificate-subject.ts';
import { encodeDistinguishedName } from '../../src/tls/names/distinguished-name.ts';
import { ipAddressBytes } from '../../src/tls/ip-address.ts';
import { createTestCertificates, clientCertificate, testSubject } from '../support/certificates.ts';

const dn = 'tls_client_auth_subject_dn';
const dns = 'tls_client_auth_san_dns';
const uri = 'tls_client_auth_san_uri';
const ip = 'tls_client_auth_san_ip';
const email = 'tls_client_auth_san_email';

let certificate: X509Certificate;

beforeAll(async () => {
  const { authority } = await createTestCertificates();
  const { certificatePem } = await clientCertificate(authority, {
    sanDns: ['TPP.example.com', '*.wild.example', 'a.example, DNS:forged.example'],
    sanUri: ['https://tpp.example/id?a=B'],
    sanEmail: ['Ops@TPP.example'],
    sanIp: ['192.0.2.1', '2001:db8::1'],
  });
  certificate = new X509Certificate(certificatePem);
});

describe('certificateSubjectMatches', () => {
  it.each<[CertificateSubjectProperty, string]>([
    [dn, testSubject],
    [dn, 'cn=TPP-1, o=example  tpp\\2C ltd, OI=psdgb-fca-123456, c=gb'],
    [dns, 'tpp.example.com'],
    [dns, '*.wild.example'],
    [uri, 'https://tpp.example/id?a=B'],
    [ip, '192.0.2.1'],
    [ip, '2001:db8::1'],
    [ip, '2001:0DB8:0:0:0:0:0.0.0.1'],
    [email, 'Ops@tpp.EXAMPLE'],
  ])('finds %s %s', (property, expected) => {
    expect(certificateSubjectMatches(certificate, property, expected)).toBe(true);
  });

  it.each<[CertificateSubjectProperty, string]>([
    [dn, 'C=GB,2.5.4.97=PSDGB-FCA-123456,O=Example TPP\\, Ltd,CN=tpp-1'],
    [dn, 'CN=tpp-1'],
    [dn, ''],
    [dn, 'not a name'],
    [dns, 'forged.example'],
    [dns, 'a.wild.example'],
    [dns, 'tpp.example.com.'],
    [dns, '192.0.2.1'],
    [dns, ''],
    [uri, 'https://tpp.example/id?a=b'],
    [uri, 'https://tpp.example/id'],
    [ip, '192.0.2.2'],
    [ip, '::ffff:192.0.2.1'],
    [ip, '2001:db8::1%eth0'],
    [ip, 'tpp.example.com'],
    [email, 'ops@tpp.example'],
    [email, 'tpp.example'],
  ])('does not find %s %j', (property, expected) => {
    expect(certificateSubjectMatches(certificate, property, expected)).toBe(false);
  });

  it('matches nothing in a certificate that has the extension twice', async () => {
    const { authority } = await createTestCertificates();
    const signingKey = createPrivateKey(authority.privateKeyPem);
    const name = encodeDistinguishedName([[{ type: '2.5.4.3', text: 'two-faced' }]]);
    const names = subjectAlternativeName({ dns: ['a.example'] });
    const content = {
      subject: name,
      issuer: name,
      publicKey: createPublicKey(signingKey),
      notBefore: systemClock.now(),
      notAfter: systemClock.now(),
    };
    const once = buildCertificate({ ...content, extensions: names }, signingKey);
    const twice = buildCertificate({ ...content, extensions: [...names, ...names] }, signingKey);
    expect(certificateSubjectMatches(new X509Certificate(once), dns, 'a.example')).toBe(true);
    const twoFaced = new X509Certificate(twice);
    expect(certificateSubjectMatches(twoFaced, dns, 'a.example')).toBe(false);
    expect(explainSubjectMismatch(twoFaced, dns, 'a.example')).toContain('cannot be read');
  });
});

describe('explainSubjectMismatch', () => {
  it('shows both sides', () => {
    expect(explainSubjectMismatch(certificate, dn, 'CN=other')).toBe(
      'tls_client_auth_subject_dn is registered as "CN=other", the certificate has ' +
        '"CN=tpp-1,O=Example TPP\\\\, Ltd,organizationIdentifier=PSDGB-FCA-123456,C=GB"',
    );
    expect(explainSubjectMismatch(certificate, dns, 'x')).toBe(
      'tls_client_auth_san_dns is registered as "x", the certificate has ' +
        '"TPP.example.com", "*.wild.example"',
    );
  });
});

describe('ipAddressBytes', () => {
  it.each([
    ['127.0.0.1', '7f000001'],
    ['::', '0'.repeat(32)],
    ['::1', `${'0'.repeat(31)}1`],
    ['1::', `0001${'0'.repeat(28)}`],
    ['2001:DB8::a:0:1', '20010db800000000000000' + '00000a00000001'.slice(-10)],
    ['::ffff:192.0.2.1', `${'0'.repeat(20)}ffffc0000201`],
    ['127.1', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
  ])('reads %j', (text, bytes) => {
    expect(ipAddressBytes(text)).toBe(bytes);
  });
});

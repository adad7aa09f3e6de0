import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import {
  createCertificateAuthority,
  developmentAuthorityName,
  isDevelopmentCertificate,
  issueClientCertificate,
  issueServerCertificate,
} from '../../src/development/certificate-authority.ts';

const clock: Clock = { now: () => new Date('2026-03-01T12:00:00Z') };
const day = 86_400_000;

function read({ certificatePem }: { certificatePem: string }): X509Certificate {
  return new X509Certificate(certificatePem);
}

function lifetimeDays(certificate: X509Certificate): number {
  return (certificate.validToDate.getTime() + 1000 - certificate.validFromDate.getTime()) / day;
}

describe('the development authority', () => {
  it('signs itself as an authority', async () => {
    const authority = read(await createCertificateAuthority({ clock }));
    expect(authority.subject).toBe(developmentAuthorityName);
    expect(authority.ca).toBe(true);
    expect(authority.checkIssued(authority)).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
  });

  it('issues server certificates for names and addresses', async () => {
    const authority = await createCertificateAuthority({ clock });
    const hostnames = ['localhost', 'mtls.localhost', '127.0.0.1', '::1'] as const;
    const issued = await issueServerCertificate(authority, { hostnames: [...hostnames], clock });
    const server = read(issued);
    expect(server.subjectAltName).toBe(
      'DNS:localhost, DNS:mtls.localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(server.ca).toBe(false);
    expect(server.checkIssued(read(authority))).toBe(true);
    expect(server.verify(read(authority).publicKey)).toBe(true);
    expect(lifetimeDays(server)).toBe(397);
    expect(server.validFromDate.getTime()).toBeLessThan(clock.now().getTime());
  });

  it('issues client certificates of either key type with 127-bit serial numbers of their own', async () => {
    const authority = await createCertificateAuthority({ clock });
    const issue = (keyType: 'ec' | 'rsa'): Promise<X509Certificate> =>
      issueClientCertificate(authority, { subject: 'CN=a+OU=b,C=GB', clock, keyType }).then(read);
    const [ec, rsa] = await Promise.all([issue('ec'), issue('rsa')]);
    expect(ec.subject).toBe('C=GB\nCN=a + OU=b');
    expect(ec.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(rsa.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(ec.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(lifetimeDays(ec)).toBe(825);
    expect(ec.serialNumber).toMatch(/^[4-7][\dA-F]{31}$/);
    expect(ec.serialNumber).not.toBe(rsa.serialNumber);
    expect(rsa.verify(read(authority).publicKey)).toBe(true);
  });
});

describe('isDevelopmentCertificate', () => {
  it('recognises the authority and what it issued, also behind other certificates', async () => {
    const authority = await createCertificateAuthority({ clock });
    const other = await createCertificateAuthority({ clock, commonName: 'Bank CA' });
    const server = await issueServerCertificate(authority, { hostnames: ['a.example'], clock });
    const foreign = await issueServerCertificate(other, { hostnames: ['a.example'], clock });
    expect(isDevelopmentCertificate(authority.certificatePem)).toBe(true);
    expect(isDevelopmentCertificate(server.certificatePem)).toBe(true);
    expect(isDevelopmentCertificate(foreign.certificatePem + authority.certificatePem)).toBe(true);
    expect(isDevelopmentCertificate(foreign.certificatePem + other.certificatePem)).toBe(false);
  });

  it('refuses a text without certificates', () => {
    expect(() => isDevelopmentCertificate('')).toThrow('no certificate');
  });
});

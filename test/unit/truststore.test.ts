import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.ts';
import {
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../src/development/certificate-authority.ts';
import { readTruststore } from '../../src/tls/truststore.ts';
import { clientCertificate } from '../support/certificates.ts';

const start = systemClock.now();
const clock: Clock = { now: () => start };

let lasting: IssuedCertificate;
let expired: IssuedCertificate;

beforeAll(async () => {
  lasting = await createCertificateAuthority({ clock, commonName: 'Lasting, Ltd' });
  expired = await createCertificateAuthority({
    clock,
    commonName: 'Expired',
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2021-01-01T00:00:00Z'),
  });
});

function refusal(pem: string): string {
  try {
    readTruststore(pem, clock);
  } catch (error) {
    return String(error);
  }
  return 'none';
}

describe('readTruststore', () => {
  it('gives the certificates one by one with their subjects', () => {
    const pem = `# Our authorities\n\n${lasting.certificatePem}\n${lasting.certificatePem}`;
    const truststore = readTruststore(pem, clock);
    expect(truststore.certificates).toEqual([lasting.certificatePem]);
    expect(truststore.subjects).toEqual(['CN=Lasting\\, Ltd']);
    expect(truststore.warnings).toEqual([]);
  });

  it('leaves an expired authority out and says so', () => {
    const truststore = readTruststore(expired.certificatePem + lasting.certificatePem, clock);
    expect(truststore.subjects).toEqual(['CN=Lasting\\, Ltd']);
    expect(truststore.warnings).toEqual([
      'CN=Expired expired at 2021-01-01T00:00:00.000Z and is left out',
    ]);
  });

  it('keeps an authority that is not valid yet and says so', async () => {
    const future = await createCertificateAuthority({
      clock,
      commonName: 'Future',
      notBefore: new Date('2045-01-01T00:00:00Z'),
      notAfter: new Date('2055-01-01T00:00:00Z'),
    });
    const truststore = readTruststore(future.certificatePem, clock);
    expect(truststore.certificates).toHaveLength(1);
    expect(truststore.warnings).toEqual(['CN=Future is not valid before 2045-01-01T00:00:00.000Z']);
  });

  it('refuses a file without certificates', () => {
    expect(refusal('')).toContain('there is no certificate in it');
    expect(refusal('certificates to follow')).toContain('there is no certificate in it');
  });

  it('refuses a file in which everything has expired', () => {
    expect(refusal(expired.certificatePem)).toContain('all of it has expired');
  });

  it('refuses a certificate that is not an authority', async () => {
    const client = await clientCertificate(lasting, { subject: 'CN=tpp-1' });
    expect(refusal(lasting.certificatePem + client.certificatePem)).toContain(
      'CN=tpp-1 is not a certificate authority',
    );
  });

  it('refuses private keys, whatever their kind', () => {
    expect(refusal(lasting.certificatePem + lasting.privateKeyPem)).toContain('a private key');
    const encrypted = lasting.privateKeyPem.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY');
    expect(refusal(encrypted + lasting.certificatePem)).toContain('a private key');
    const cut = '-----BEGIN EC PRIVATE KEY-----\nMHcC';
    expect(refusal(lasting.certificatePem + cut)).toContain('a private key');
  });

  it('refuses other PEM blocks and broken certificates', () => {
    expect(refusal('-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n')).toContain(
      '"X509 CRL"',
    );
    const cut = lasting.certificatePem.slice(0, 200);
    expect(refusal(`${lasting.certificatePem}${cut}`)).toContain('cannot be read');
    expect(refusal(`${cut}\n-----END CERTIFICATE-----\n`)).toContain('cannot be read');
  });
});

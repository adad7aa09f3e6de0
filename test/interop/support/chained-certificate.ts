import { randomBytes } from 'node:crypto';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { derTag, writeDer } from '../../../src/tls/der.ts';
import { intermediate } from '../../support/certificate-chains.ts';
import { clientCertificate } from '../../support/certificates.ts';
import { tppSubject } from '../../support/server.ts';

/** As much as the statements of a qualified certificate and the keys of RSA take: 2 KiB in all. */
const ballast = () => ({
  ...{ id: '1.3.6.1.4.1.99999.1', critical: false },
  value: writeDer(derTag.octetString, randomBytes(1600)),
});

/** A certificate of the client "tpp" with so many authorities between it and `root`, which it brings with it. */
export async function chainedCertificate(
  root: IssuedCertificate,
  intermediates: number,
): Promise<IssuedCertificate> {
  const chain: IssuedCertificate[] = [];
  for (let count = 0; count < intermediates; count++) {
    const subject = `CN=Issuing CA ${String(count)}`;
    chain.unshift(intermediate(chain[0] ?? root, { subject, further: [ballast()] }));
  }
  const issuing = chain[0] ?? root;
  const leaf = await clientCertificate(issuing, { subject: tppSubject, extensions: [ballast()] });
  const certificatePem = [leaf, ...chain].map((each) => each.certificatePem).join('');
  return { ...leaf, certificatePem };
}

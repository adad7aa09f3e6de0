import { createHash, X509Certificate } from 'node:crypto';
import type { CertificateHeaderKind } from '../../src/tls/proxies/forwarded-certificate.ts';

/** A certificate's DER, base64. */
export function base64Of(pem: string): string {
  return new X509Certificate(pem).raw.toString('base64');
}

/** What a proxy of each kind sends for a client's certificate and the rest of its chain, all PEM. */
export const proxyHeaders: Record<
  CertificateHeaderKind,
  (leaf: string, chain?: readonly string[]) => Record<string, string>
> = {
  rfc9440: (leaf, chain = []) => ({
    'Client-Cert': `:${base64Of(leaf)}:`,
    ...(chain.length > 0 && {
      'Client-Cert-Chain': chain.map((pem) => `:${base64Of(pem)}:`).join(', '),
    }),
  }),
  envoy: (leaf, chain = []) => {
    const hash = createHash('sha256').update(new X509Certificate(leaf).raw).digest('hex');
    const all = encodeURIComponent([leaf, ...chain].join(''));
    const cert = `Cert="${encodeURIComponent(leaf)}";Chain="${all}"`;
    return {
      'X-Forwarded-Client-Cert': `By=spiffe://bank/edge;Hash=${hash};${cert};Subject="CN=\\"a,b;c\\"";URI=`,
    };
  },
  // It sends no chain: intermediates belong in the truststore.
  nginx: (leaf) => ({ 'ssl-client-cert': encodeURIComponent(leaf) }),
  haproxy: (leaf, chain = []) => ({
    'X-SSL-Client-Cert': base64Of(leaf),
    ...(chain.length > 0 && {
      'X-SSL-Client-Chain': Buffer.concat(
        [leaf, ...chain].map((pem) => new X509Certificate(pem).raw),
      ).toString('base64'),
    }),
  }),
  traefik: (leaf, chain = []) => ({
    'X-Forwarded-Tls-Client-Cert': [leaf, ...chain].map(base64Of).join(','),
  }),
  alb: (leaf, chain = []) => ({
    'X-Amzn-Mtls-Clientcert': encodeURIComponent([leaf, ...chain].join('')).replaceAll(
      /%(?:2B|2F|3D)/g,
      decodeURIComponent,
    ),
  }),
};

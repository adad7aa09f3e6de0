import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { Problem } from '../../src/problem.ts';
import {
  certificateHeaderKinds,
  certificateHeaders,
  readForwardedCertificate,
  type CertificateHeaderKind,
} from '../../src/tls/proxies/forwarded-certificate.ts';
import { createForwardedSource } from '../../src/tls/proxies/forwarded-source.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { base64Of, proxyHeaders } from '../support/forwarded.ts';

let leaf: string;
let issuer: string;

beforeAll(async () => {
  const { authority } = await createTestCertificates();
  issuer = authority.certificatePem;
  leaf = (await clientCertificate(authority)).certificatePem;
});

function read(kind: CertificateHeaderKind, headers: Record<string, string | string[]>, hops = 1) {
  const lines = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), [value].flat()] as const,
  );
  return readForwardedCertificate(kind, new Map(lines), hops);
}

const der = (pem: string): Buffer => new X509Certificate(pem).raw;

/** The reason of the refusal, for the log. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem && error.code === 'invalid_request') return error.detail ?? '';
    throw error;
  }
  return 'nothing was refused';
}

const withChains = certificateHeaderKinds.filter((kind) => kind !== 'nginx');

describe.each(certificateHeaderKinds)('The headers of %s', (kind) => {
  it('give the certificate', () => {
    expect(read(kind, proxyHeaders[kind](leaf))?.leaf).toEqual(der(leaf));
  });

  it('give none where there are none', () => {
    expect(read(kind, {})).toBeUndefined();
  });

  it.each(certificateHeaders[kind])('are refused when %s is there twice', (name) => {
    const headers = { ...proxyHeaders[kind](leaf), [name]: ['a', 'a'] };
    expect(refusal(() => read(kind, headers))).toContain(`${name} came more than once`);
  });

  it('are refused when empty', () => {
    const [name] = certificateHeaders[kind];
    expect(refusal(() => read(kind, { [name]: '' }))).toMatch(/^the forwarded certificate: /);
  });

  it('are refused when cut off, and with something behind', () => {
    const source = createForwardedSource({ kind, hops: 1, truststore: [], clock: systemClock });
    const changed = (change: (value: string) => string) =>
      Object.entries(proxyHeaders[kind](leaf)).map(
        ([name, value]) => [name.toLowerCase(), [change(value)]] as const,
      );
    for (const change of [
      (value: string) => value.slice(0, value.length / 2),
      (value: string) => `${value}, x`,
      (value: string) => `x, ${value}`,
      (value: string) => value.replace('MII', 'MIJ'),
      (value: string) => `${value}\u00e9, `,
    ]) {
      expect(refusal(() => source(new Map(changed(change))))).toMatch(
        /^the forwarded certificate: /,
      );
    }
    expect(source(new Map(changed((value) => value)))?.certificate.raw).toEqual(der(leaf));
  });

  it('never give anything but a certificate or a refusal', () => {
    const names = certificateHeaders[kind];
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme-ascii' }), { maxLength: 2 }), (values) => {
        const headers = Object.fromEntries(
          values.slice(0, names.length).map((value, index) => [names[index] ?? '', value]),
        );
        try {
          const found = read(kind, headers);
          return found === undefined ? values.length === 0 : found.leaf.length > 0;
        } catch (error) {
          return error instanceof Problem && error.code === 'invalid_request';
        }
      }),
    );
  });

  it('give back any bytes that are small enough', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 2000 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        const pem = `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
        const values: Record<CertificateHeaderKind, string> = {
          rfc9440: `:${text}:`,
          envoy: `Cert="${encodeURIComponent(pem)}"`,
          nginx: encodeURIComponent(pem),
          haproxy: text,
          traefik: encodeURIComponent(text),
          alb: encodeURIComponent(pem),
        };
        const [name] = certificateHeaders[kind];
        return read(kind, { [name]: values[kind] })?.leaf.equals(bytes) === true;
      }),
    );
  });
});

describe.each(withChains)('The chain of %s', (kind) => {
  it('comes without the certificate itself', () => {
    const found = read(kind, proxyHeaders[kind](leaf, [issuer]));
    expect(found?.chain).toEqual([der(issuer)]);
  });

  it('is refused when it is too long', () => {
    const chain = new Array<string>(9).fill(issuer);
    expect(refusal(() => read(kind, proxyHeaders[kind](leaf, chain)))).toMatch(/too (many|large)/);
  });
});

describe('A header is refused', () => {
  it('when its certificate is too large', () => {
    const large = Buffer.alloc(9000, 1).toString('base64');
    expect(refusal(() => read('rfc9440', { 'Client-Cert': `:${large}:` }))).toContain('too large');
  });

  it('when there is a chain and no certificate', () => {
    const headers = { 'Client-Cert-Chain': `:${base64Of(issuer)}:` };
    expect(refusal(() => read('rfc9440', headers))).toContain('a chain without the certificate');
    const chain = { 'X-SSL-Client-Chain': base64Of(issuer) };
    expect(refusal(() => read('haproxy', chain))).toContain('a chain without the certificate');
  });

  it('with parameters at the byte sequence', () => {
    const headers = { 'Client-Cert': `:${base64Of(leaf)}:;a=1` };
    expect(refusal(() => read('rfc9440', headers))).toContain('no byte sequence');
  });

  it.each([
    ['no padding', 'QQ'],
    ['too much padding', 'QUJD===='],
    ['bits after the last byte', 'QR=='],
    ['the alphabet for URLs', 'QUI-'],
    ['a line break', 'QU\nJD'],
    ['a space', 'QU JD'],
  ])('with base64 that has %s', (_what, value) => {
    expect(refusal(() => read('traefik', { 'X-Forwarded-Tls-Client-Cert': value }))).toMatch(
      /no base64/,
    );
  });

  it('with two certificates from NGINX, which sends one', () => {
    const value = encodeURIComponent(leaf + issuer);
    expect(refusal(() => read('nginx', { 'ssl-client-cert': value }))).toContain('more than one');
  });

  it('with a broken percent-encoding', () => {
    expect(refusal(() => read('nginx', { 'ssl-client-cert': '%E0%A4%A' }))).toContain('broken');
  });

  it('when AWS tells in both of its ways', () => {
    const [value = ''] = Object.values(proxyHeaders.alb(leaf));
    const headers = { 'X-Amzn-Mtls-Clientcert': value, 'X-Amzn-Mtls-Clientcert-Leaf': value };
    expect(refusal(() => read('alb', headers))).toContain('two headers');
  });
});

describe("Envoy's header", () => {
  const value = (pem = leaf): string => Object.values(proxyHeaders.envoy(pem))[0] ?? '';
  const readValue = (text: string, hops = 1) =>
    read('envoy', { 'x-forwarded-client-cert': text }, hops);

  it('has one element for each proxy, the client in the first', () => {
    const both = `${value()},${value(issuer)}`;
    expect(readValue(both, 2)?.leaf).toEqual(der(leaf));
  });

  it('is refused with more elements than proxies, which a caller wrote', () => {
    expect(refusal(() => readValue(`${value(issuer)},${value()}`))).toContain('2 elements');
  });

  it('is refused with fewer, when a proxy was passed by', () => {
    expect(refusal(() => readValue(value(), 2))).toContain('1 elements, where 2');
  });

  it('is refused without the certificate itself', () => {
    expect(refusal(() => readValue('Hash=ab;Subject="CN=tpp-1"'))).toContain('cert: true');
  });

  it('is refused when the hash is of another certificate', () => {
    const other = value().replace(/Hash=[^;]+/, `Hash=${'0'.repeat(64)}`);
    expect(refusal(() => readValue(other))).toContain('Hash is not that of Cert');
  });

  it.each(['Cert="', 'Cert="a";Cert="b"', 'Cert="a"b', 'Cert', '=a', 'Ce rt=a', 'Cert=a"b"'])(
    'is refused as %s',
    (text) => {
      expect(refusal(() => readValue(text))).toMatch(/^the forwarded certificate: /);
    },
  );

  it('does not take what is quoted for a separator', () => {
    const subject = `Subject="CN=x;Cert=\\"${encodeURIComponent(issuer)}\\",a"`;
    expect(readValue(`${subject};Cert="${encodeURIComponent(leaf)}"`)?.leaf).toEqual(der(leaf));
  });
});

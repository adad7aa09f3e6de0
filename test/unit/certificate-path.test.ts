import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { findCertificatePath } from '../../src/tls/certificate-path.ts';
import { parseDistinguishedName } from '../../src/tls/names/distinguished-name-text.ts';
import { encodeDistinguishedName } from '../../src/tls/names/distinguished-name.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';
import {
  intermediate,
  nameConstraints,
  newKeys,
  type IntermediateOptions,
} from '../support/certificate-chains.ts';
import {
  clientCertificate,
  createTestCertificates,
  selfSignedClientCertificate,
  type TestCertificates,
  type TestClientOptions,
} from '../support/certificates.ts';

let certificates: TestCertificates;

beforeAll(async () => {
  certificates = await createTestCertificates();
});

const parsed = (issued: IssuedCertificate) => new X509Certificate(issued.certificatePem);

interface Case {
  leaf: IssuedCertificate;
  sent?: readonly IssuedCertificate[];
  truststore?: readonly IssuedCertificate[];
  now?: Date;
}

/** The lengths of the path, or why there is none. */
function find({ leaf, sent = [], truststore = [certificates.authority], now }: Case) {
  const path = findCertificatePath(
    parsed(leaf),
    { sent: sent.map(parsed), truststore: truststore.map(parsed) },
    now ?? systemClock.now(),
  );
  return 'refusal' in path ? path.refusal : path.certificates.length;
}

async function below(options: IntermediateOptions, client: TestClientOptions = {}) {
  const issuing = intermediate(certificates.authority, options);
  const leaf = await clientCertificate(issuing, client);
  return find({ leaf, sent: [issuing] });
}

describe('A path to the truststore is found', () => {
  it('from a certificate that an authority in it issued', async () => {
    expect(find({ leaf: await clientCertificate(certificates.authority) })).toBe(2);
  });

  it('over intermediates that were sent, in any order and with others among them', async () => {
    const upper = intermediate(certificates.authority, { subject: 'CN=Upper' });
    const lower = intermediate(upper, { subject: 'CN=Lower' });
    const leaf = await clientCertificate(lower);
    const other = certificates.foreignAuthority;
    expect(find({ leaf, sent: [upper, other, lower] })).toBe(4);
  });

  it('over an intermediate in the truststore', async () => {
    const issuing = intermediate(certificates.authority);
    const leaf = await clientCertificate(issuing);
    expect(find({ leaf, truststore: [issuing, certificates.authority] })).toBe(3);
  });

  it('past a certificate of the same authority that has expired', async () => {
    const keys = newKeys();
    const expired = intermediate(certificates.authority, {
      keys,
      notBefore: secondsFromNow(systemClock, -200),
      notAfter: secondsFromNow(systemClock, -100),
    });
    const renewed = intermediate(certificates.authority, { keys });
    expect(find({ leaf: await clientCertificate(renewed), sent: [expired, renewed] })).toBe(3);
  });
});

describe('No path is found', () => {
  it('to a foreign authority, even when it is sent along', async () => {
    const leaf = await clientCertificate(certificates.foreignAuthority);
    expect(find({ leaf })).toBe('no issuer of it is known');
    expect(find({ leaf, sent: [certificates.foreignAuthority] })).toBe('no issuer of it is known');
  });

  it('to an authority of the same name with another key', async () => {
    const { authority: twin } = await createTestCertificates();
    const leaf = await clientCertificate(twin);
    expect(find({ leaf })).not.toBe(2);
    const unmarked = intermediate(twin, { isAuthority: true, subject: 'CN=Issuing CA' });
    expect(find({ leaf: unmarked })).not.toBe(2);
  });

  it('where the truststore holds an intermediate without its root, as with OpenSSL', async () => {
    const issuing = intermediate(certificates.authority);
    const leaf = await clientCertificate(issuing);
    expect(find({ leaf, truststore: [issuing] })).toBe('no issuer of it is known');
  });

  it('over a certificate that is no authority, such as another client', async () => {
    const client = await clientCertificate(certificates.authority, { subject: 'CN=tpp' });
    const leaf = await clientCertificate(client);
    expect(find({ leaf, sent: [client] })).not.toBe(3);
    expect(await below({ isAuthority: false })).not.toBe(3);
  });

  it('over an authority that has expired, or is not valid yet', async () => {
    const notAfter = secondsFromNow(systemClock, -10);
    expect(await below({ notAfter })).toContain('expired at');
    expect(await below({ notBefore: secondsFromNow(systemClock, 1000) })).toContain(
      'not valid before',
    );
    const leaf = await clientCertificate(certificates.authority);
    const now = secondsFromNow(systemClock, 40 * 365 * 86_400);
    expect(find({ leaf, now })).toContain('expired at');
  });

  it('over an authority for servers only', async () => {
    expect(await below({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] })).toContain('clientAuth');
  });

  it('where more authorities follow than one allows', async () => {
    const upper = intermediate(certificates.authority, { subject: 'CN=Upper', pathLength: 0 });
    const lower = intermediate(upper, { subject: 'CN=Lower' });
    const leaf = await clientCertificate(lower);
    expect(find({ leaf, sent: [upper, lower] })).toContain('allows 0 authorities below it');
    expect(await below({ pathLength: 0 })).toBe(3);
  });

  it('over an extension that is critical and unknown', async () => {
    const further = [{ id: '1.2.3.4', critical: true, value: Buffer.from([5, 0]) }];
    expect(await below({ further })).toContain('the critical extension 1.2.3.4');
    expect(
      await below({ further: further.map((extension) => ({ ...extension, critical: false })) }),
    ).toBe(3);
  });

  it('for a certificate that is signed with SHA-1', async () => {
    const { certificatePem } = await selfSignedClientCertificate({ keyType: 'rsa' });
    const hex = new X509Certificate(certificatePem).raw.toString('hex');
    const weak = hex.replaceAll('2a864886f70d01010b', '2a864886f70d010105');
    const leaf = new X509Certificate(Buffer.from(weak, 'hex'));
    const path = findCertificatePath(leaf, { sent: [], truststore: [] }, systemClock.now());
    expect(path).toEqual({ refusal: expect.stringContaining('weak algorithm') as string });
  });

  it('for a certificate whose key may not sign handshakes', () => {
    const leaf = intermediate(certificates.authority, { isAuthority: false });
    expect(find({ leaf })).toContain('digitalSignature');
  });

  it('where the authorities point at each other', async () => {
    const [a, b] = [newKeys(), newKeys()];
    const root = intermediate(certificates.foreignAuthority, { subject: 'CN=A', keys: a });
    const second = intermediate(root, { subject: 'CN=B', keys: b });
    const loop = intermediate(second, { subject: 'CN=A', keys: a });
    const leaf = await clientCertificate(second);
    expect(find({ leaf, sent: [root, second, loop] })).toBe('no issuer of it is known');
  });

  it('without end: many look-alikes of an issuer are given up', async () => {
    const keys = newKeys();
    const sent = Array.from({ length: 40 }, () =>
      intermediate(certificates.foreignAuthority, { keys }),
    );
    const leaf = await clientCertificate(sent[0] ?? certificates.authority);
    expect(find({ leaf, sent })).toMatch(/too many|no issuer/);
  });
});

const directory = (text: string) => encodeDistinguishedName(parseDistinguishedName(text));
const ip = (...bytes: number[]) => Buffer.from(bytes);

describe('Name constraints of an authority', () => {
  const leafOptions = {
    subject: 'CN=tpp-1,O=Example TPP,C=GB',
    sanDns: ['api.tpp.example'],
    sanEmail: ['ops@tpp.example'],
    sanUri: ['https://id.tpp.example/1'],
    sanIp: ['192.0.2.7'],
  };
  const permitted = (tag: number, content: Buffer | string) =>
    below({ further: [nameConstraints({ permitted: [[tag, content]] })] }, leafOptions);
  const excluded = (tag: number, content: Buffer | string) =>
    below({ further: [nameConstraints({ excluded: [[tag, content]] })] }, leafOptions);

  it.each([
    ['dns', 0x82, 'tpp.example'],
    ['dns', 0x82, 'api.tpp.example'],
    ['dns', 0x82, '.TPP.example'],
    ['email', 0x81, 'tpp.example'],
    ['email', 0x81, 'ops@tpp.example'],
    ['uri', 0x86, 'id.tpp.example'],
    ['uri', 0x86, '.tpp.example'],
    ['ip', 0x87, ip(192, 0, 2, 0, 255, 255, 255, 0)],
    ['directory', 0xa4, directory('O=Example TPP,C=GB')],
    ['directory', 0xa4, directory('O=EXAMPLE tpp,C=gb')],
  ])('allow or forbid what lies within: %s (%i %s)', async (kind, tag, content) => {
    expect(await permitted(tag, content)).toBe(3);
    expect(await excluded(tag, content)).toBe(refusal(kind));
  });

  it.each([
    ['dns', 0x82, 'pp.example'],
    ['dns', 0x82, 'other.example'],
    ['email', 0x81, 'example'],
    ['email', 0x81, 'OTHER@tpp.example'],
    ['uri', 0x86, 'tpp.example'],
    ['ip', 0x87, ip(192, 0, 3, 0, 255, 255, 255, 0)],
    ['directory', 0xa4, directory('O=Other TPP,C=GB')],
    ['directory', 0xa4, directory('CN=tpp-1')],
  ])(
    'forbid what lies without, and exclude only what lies within: %s (%i %s)',
    async (kind, tag, content) => {
      expect(await permitted(tag, content)).toBe(refusal(kind));
      expect(await excluded(tag, content)).toBe(3);
    },
  );

  it('forbid what they can not be compared with', async () => {
    const constraint = { further: [nameConstraints({ excluded: [[0x86, '.bad.example']] })] };
    expect(await below(constraint, { sanUri: ['urn:tpp:1'] })).toBe(refusal('uri'));
    expect(await permitted(0x87, ip(1, 2, 3))).toBe(refusal('ip'));
  });

  it('hold for authorities below, and for every issuer above', async () => {
    const constraint = nameConstraints({ permitted: [[0xa4, directory('O=Example TPP,C=GB')]] });
    const upper = intermediate(certificates.authority, {
      subject: 'CN=Upper',
      further: [constraint],
    });
    const lower = intermediate(upper, { subject: 'CN=Lower' });
    const leaf = await clientCertificate(lower, { subject: 'CN=tpp-1,O=Example TPP,C=GB' });
    expect(find({ leaf, sent: [upper, lower] })).toBe(refusal('directory'));
  });

  it('see an address in the subject', async () => {
    const further = [nameConstraints({ excluded: [[0x81, 'bad.example']] })];
    const name = [[{ type: '1.2.840.113549.1.9.1', text: 'x@bad.example' }]];
    expect(await below({ further }, { subject: name })).toBe(refusal('email'));
  });

  it('with a distance are not understood', async () => {
    const base = writeDer(
      derTag.sequence,
      writeDer(0x82, Buffer.from('a')),
      writeDer(0x80, Buffer.from([1])),
    );
    const value = writeDer(derTag.sequence, writeDer(0xa0, base));
    const further = [{ id: '2.5.29.30', critical: true, value }];
    expect(await below({ further })).toContain('A name constraint has a distance');
  });

  function refusal(kind: string): string {
    return `the name constraints of an issuer forbid a name (${kind})`;
  }
});

import { generateKeyPairSync } from 'node:crypto';
import { Agent, type RequestOptions } from 'node:https';
// eslint-disable-next-line n/no-unsupported-features/node-builtins -- the tests run on the pinned Node 24.21
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock, type Clock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { buildCertificate } from '../../src/development/certificate-builder.ts';
import { certificateSubjectMatches } from '../../src/tls/names/certificate-subject.ts';
import { clientCertificateOf, type ClientCertificate } from '../../src/tls/client-certificate.ts';
import { parseDistinguishedName } from '../../src/tls/names/distinguished-name-text.ts';
import { encodeDistinguishedName } from '../../src/tls/names/distinguished-name.ts';
import { createMutualTlsListener } from '../../src/tls/listeners.ts';
import {
  clientCertificate,
  createTestCertificates,
  expiredClientCertificate,
  notYetValidClientCertificate,
  selfSignedClientCertificate,
  testSubject,
  type TestCertificates,
} from '../support/certificates.ts';
import { createTestServers, get, presenting } from '../support/tls-servers.ts';

/** What the server saw of the client certificate; null without one. */
type Seen =
  (Omit<ClientCertificate, 'certificate'> & { isTestSubject: boolean; subject: string }) | null;

interface Answer {
  readonly seen: Seen;
  readonly resumed: boolean;
}

let certificates: TestCertificates;
let now = (): Date => systemClock.now();
const clock: Clock = { now: () => now() };
const servers = createTestServers();

beforeAll(async () => {
  certificates = await createTestCertificates();
});

afterEach(async () => {
  now = () => systemClock.now();
  await servers.close();
});

function startMutualTls(truststore = [certificates.authority.certificatePem]): Promise<number> {
  const options = {
    certificatePem: certificates.server.certificatePem,
    privateKeyPem: certificates.server.privateKeyPem,
    logger: { debug: () => undefined },
    truststore,
  };
  const server = createMutualTlsListener(options, (req, res) => {
    const found = clientCertificateOf(req.socket, clock);
    res.end(JSON.stringify(found === undefined ? null : describeCertificate(found)));
  });
  return servers.listen(server);
}

function describeCertificate({ certificate, ...rest }: ClientCertificate): Seen {
  const property = 'tls_client_auth_subject_dn';
  const isTestSubject = certificateSubjectMatches(certificate, property, testSubject);
  return { ...rest, isTestSubject, subject: certificate.subject };
}

async function call(port: number, options: RequestOptions = {}): Promise<Answer> {
  const ca = certificates.authority.certificatePem;
  const { body, resumed } = await get(port, { ca, ...options });
  return { seen: body as Seen, resumed };
}

describe('a client certificate', () => {
  it('from a trusted authority is trusted', async () => {
    const client = await clientCertificate(certificates.authority);
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({ chainTrusted: true, isTestSubject: true });
    expect(seen?.thumbprint).toMatch(/^[\w-]{43}$/);
    expect(seen).not.toHaveProperty('refusal');
  });

  it('with an RSA key is trusted', async () => {
    const client = await clientCertificate(certificates.authority, { keyType: 'rsa' });
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({ chainTrusted: true });
  });

  it('without any extended key usage is trusted', async () => {
    const client = await clientCertificate(certificates.authority, { extendedKeyUsage: [] });
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({ chainTrusted: true });
  });

  it('is optional', async () => {
    expect(await call(await startMutualTls())).toMatchObject({ seen: null });
  });

  it('from a foreign authority is seen but not trusted', async () => {
    const client = await clientCertificate(certificates.foreignAuthority);
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({ chainTrusted: false, isTestSubject: true });
    expect(seen?.refusal).toMatch(/^the chain is not trusted \(\w+\)$/);
    expect(seen).not.toHaveProperty('defect');
  });

  it('is not trusted by an empty truststore, even when the machine trusts its authority', async () => {
    const client = await clientCertificate(certificates.authority);
    const machineTruststore = getCACertificates('default');
    setDefaultCACertificates([certificates.authority.certificatePem]);
    try {
      const { seen } = await call(await startMutualTls([]), presenting(client));
      expect(seen).toMatchObject({ chainTrusted: false });
    } finally {
      setDefaultCACertificates(machineTruststore);
    }
  });

  it('signed by its own key is seen without a defect, but not trusted', async () => {
    const client = await selfSignedClientCertificate();
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({
      chainTrusted: false,
      refusal: 'the chain is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)',
    });
    expect(seen).not.toHaveProperty('defect');
  });

  it('that has expired is refused, also when it is self-signed', async () => {
    const port = await startMutualTls();
    const client = await expiredClientCertificate(certificates.authority);
    const { seen } = await call(port, presenting(client));
    expect(seen).toMatchObject({ chainTrusted: false });
    expect(seen?.refusal).toContain('CERT_HAS_EXPIRED');
    const selfSigned = await selfSignedClientCertificate({
      notBefore: new Date('2020-01-01T00:00:00Z'),
      notAfter: new Date('2021-01-01T00:00:00Z'),
    });
    const { seen: own } = await call(port, presenting(selfSigned));
    expect(own?.defect).toBe('expired at 2021-01-01T00:00:00.000Z');
  });

  it('that is not valid yet is refused', async () => {
    const client = await notYetValidClientCertificate(certificates.authority);
    const { seen } = await call(await startMutualTls(), presenting(client));
    expect(seen).toMatchObject({ chainTrusted: false });
    expect(seen?.defect).toMatch(/^not valid before /);
  });

  it('that expires while the connection lives is refused from then on', async () => {
    const port = await startMutualTls();
    const client = await clientCertificate(certificates.authority);
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...presenting(client) });
    try {
      const before = await call(port, { agent });
      now = () => new Date('2100-01-01T00:00:00Z');
      const after = await call(port, { agent });
      expect(before.seen).toMatchObject({ chainTrusted: true });
      expect(after.seen).toMatchObject({ chainTrusted: false });
      expect(after.seen?.defect).toMatch(/^expired at /);
    } finally {
      agent.destroy();
    }
  });

  it('for servers only is refused, also when it is self-signed', async () => {
    const port = await startMutualTls();
    const { seen } = await call(port, presenting(certificates.server));
    expect(seen).toMatchObject({ chainTrusted: false });
    expect(seen?.refusal).toContain('does not include clientAuth');
    const client = await selfSignedClientCertificate({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
    const { seen: own } = await call(port, presenting(client));
    expect(own?.defect).toContain('does not include clientAuth');
  });

  it('of an authority is refused, even of a trusted one', async () => {
    const { seen } = await call(await startMutualTls(), presenting(certificates.authority));
    expect(seen).toMatchObject({ chainTrusted: false });
    expect(seen?.refusal).toContain('the certificate of an authority is not for clients');
  });

  it('with an RSA key of 1024 bits is refused, also when it is self-signed', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const name = encodeDistinguishedName(parseDistinguishedName(testSubject));
    const validity = { notBefore: systemClock.now(), notAfter: secondsFromNow(systemClock, 3600) };
    const content = { subject: name, issuer: name, publicKey, ...validity, extensions: [] };
    const options = {
      cert: buildCertificate(content, privateKey),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ciphers: 'DEFAULT@SECLEVEL=0', // or the client would refuse its own key
    };
    const { seen } = await call(await startMutualTls(), options);
    expect(seen).toMatchObject({ chainTrusted: false, defect: 'the RSA key has 1024 bits' });
  });

  it('is matched by the name in its bytes: sets, UTF-8, line breaks, organisation identifiers', async () => {
    const port = await startMutualTls();
    const subject =
      'CN=Žluťoučký kůň+OU=Payments,O=Forger\\0aCN=x,organizationIdentifier=PSDCZ-CNB-1,C=CZ';
    const client = await clientCertificate(certificates.authority, { subject });
    const { seen } = await call(port, presenting(client));
    expect(seen).toMatchObject({ chainTrusted: true, isTestSubject: false });
    expect(seen?.subject).toContain('organizationIdentifier=PSDCZ-CNB-1');
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a resumed session of %s', (version) => {
  async function callTwice(client: IssuedCertificate | undefined): Promise<[Answer, Answer]> {
    const port = await startMutualTls();
    // Without keep-alive every request has a connection of its own, but the agent keeps sessions.
    const agent = new Agent({
      minVersion: version,
      maxVersion: version,
      ca: certificates.authority.certificatePem,
      ...(client && presenting(client)),
    });
    return [await call(port, { agent }), await call(port, { agent })];
  }

  it('keeps the certificate and its trust', async () => {
    const client = await clientCertificate(certificates.authority);
    const [first, second] = await callTwice(client);
    expect([first.resumed, second.resumed]).toEqual([false, true]);
    expect(first.seen).toMatchObject({ chainTrusted: true });
    expect(second.seen).toEqual(first.seen);
  });

  it('keeps the distrust', async () => {
    const client = await clientCertificate(certificates.foreignAuthority);
    const [first, second] = await callTwice(client);
    expect([first.resumed, second.resumed]).toEqual([false, true]);
    expect(first.seen).toMatchObject({ chainTrusted: false });
    expect(second.seen).toEqual(first.seen);
  });

  it('without a certificate stays without one', async () => {
    const [first, second] = await callTwice(undefined);
    expect([first.seen, second.seen]).toEqual([null, null]);
  });
});

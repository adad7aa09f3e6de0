import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import type { Revocation } from '../../src/tls/certificate-source.ts';
import { certificateHeaderKinds } from '../../src/tls/proxies/forwarded-certificate.ts';
import { intermediate } from '../support/certificate-chains.ts';
import { clientCertificate } from '../support/certificates.ts';
import { bySecret, certificateWorld, proxySecret } from '../support/certificate-world.ts';
import { proxyHeaders } from '../support/forwarded.ts';

let world: Awaited<ReturnType<typeof certificateWorld>>;

beforeAll(async () => {
  world = await certificateWorld();
});

afterEach(() => world.reset());

const seenClient = { proxied: true, subject: expect.stringContaining('tpp-1') as string };
const secretHeader = { 'Countersign-Proxy-Secret': proxySecret };

describe.each(certificateHeaderKinds)('A proxy that sends the headers of %s', (kind) => {
  it('is believed by its certificate', async () => {
    const send = await world.start({ certificateHeader: kind, ...world.byCertificate() });
    const seen = await send(world.headersOf(kind), world.proxy);
    expect(seen).toMatchObject({ ...seenClient, chainTrusted: true, chain: 2 });
  });

  it('is believed by its network and the shared secret', async () => {
    const send = await world.start({ certificateHeader: kind, ...bySecret });
    expect(await send({ ...world.headersOf(kind), ...secretHeader })).toMatchObject({
      ...seenClient,
      chainTrusted: true,
    });
  });

  it('is not believed without either', async () => {
    const send = await world.start({
      certificateHeader: kind,
      ...world.byCertificate(),
      ...bySecret,
    });
    const seen = await send(world.headersOf(kind));
    expect(seen).toMatchObject({ proxied: false });
    expect(seen).not.toHaveProperty('subject');
    expect(seen.left.join().toLowerCase()).not.toMatch(/cert|ssl|mtls/);
    expect(await world.dropped('no_proxy')).toBe(1);
  });

  it('does not make a certificate of a foreign authority trusted', async () => {
    const foreign = await clientCertificate(world.certificates.foreignAuthority);
    const send = await world.start({ certificateHeader: kind, ...world.byCertificate() });
    const headers = proxyHeaders[kind](foreign.certificatePem, [
      world.certificates.foreignAuthority.certificatePem,
    ]);
    const seen = await send(headers, world.proxy);
    expect(seen).toMatchObject({ ...seenClient, chainTrusted: false });
    expect(seen.refusal).toContain('the chain is not trusted');
    expect(seen).not.toHaveProperty('defect');
  });

  it('gets its mistake told, not a client without a certificate', async () => {
    const send = await world.start({ certificateHeader: kind, ...world.byCertificate() });
    const [name = ''] = Object.keys(world.headersOf(kind));
    for (const value of ['', '(null)', 'AAAA', ':AAAA:', ['a', 'b']]) {
      const { error } = await send({ [name]: value }, world.proxy);
      expect(error).toMatch(/^invalid_request: the forwarded certificate: /);
    }
  });
});

const withChains = certificateHeaderKinds.filter((kind) => kind !== 'nginx');

it.each(withChains)('The headers of %s may tell of intermediates', async (kind) => {
  const issuing = intermediate(world.certificates.authority);
  const { certificatePem } = await clientCertificate(issuing);
  const send = await world.start({ certificateHeader: kind, ...world.byCertificate() });
  const chain = [issuing.certificatePem];
  expect(await send(proxyHeaders[kind](certificatePem, chain), world.proxy)).toMatchObject({
    chainTrusted: true,
    chain: 3,
  });
  expect(await send(proxyHeaders[kind](certificatePem), world.proxy)).toMatchObject({
    chainTrusted: false,
  });
});

describe('Behind a proxy', () => {
  it("its own certificate is never a client's", async () => {
    const send = await world.start({ ...world.byCertificate(), ...bySecret });
    expect(await send({}, world.proxy)).not.toHaveProperty('subject');
    const trusted = await clientCertificate(world.certificates.authority);
    const seen = await send(secretHeader, trusted);
    expect(seen).toMatchObject({ proxied: true });
    expect(seen).not.toHaveProperty('subject');
  });

  it("a client's own certificate beside another that is told of is refused", async () => {
    const send = await world.start(bySecret);
    const own = await clientCertificate(world.certificates.authority, { subject: 'CN=tpp-2' });
    const headers = { ...world.headersOf('rfc9440'), ...secretHeader };
    expect(await send(headers, own)).toMatchObject({
      error: expect.stringMatching(
        /^invalid_request: the connection has a certificate of its own, "CN=tpp-2"/,
      ) as string,
    });
    expect(await send(headers, world.client)).toMatchObject(seenClient);
  });

  it('a proxy known by its secret may also have a certificate of the proxies', async () => {
    const send = await world.start({ ...bySecret, ...world.byCertificate(), names: [] });
    const headers = { ...world.headersOf('rfc9440'), ...secretHeader };
    expect(await send(headers, world.proxy)).toMatchObject(seenClient);
  });

  it('a certificate at the public host counts for nothing', async () => {
    const send = await world.start(world.byCertificate());
    const seen = await send(world.headersOf('rfc9440'), world.proxy, { path: '/public' });
    expect(seen).not.toHaveProperty('subject');
    expect(await world.dropped('public_host')).toBe(1);
  });

  it('other headers than the configured ones are dropped and counted', async () => {
    const send = await world.start({ ...world.byCertificate(), certificateHeader: 'nginx' });
    const seen = await send(world.headersOf('envoy'), world.proxy);
    expect(seen).toMatchObject({ proxied: true });
    expect(seen).not.toHaveProperty('subject');
    expect(await world.dropped('not_configured')).toBe(1);
  });

  it('the address is the one that it tells', async () => {
    const send = await world.start(world.byCertificate());
    const headers = { 'X-Forwarded-For': '203.0.113.9, 192.0.2.1' };
    expect(await send(headers, world.proxy)).toMatchObject({ address: '192.0.2.1' });
    expect(await send(headers, world.client)).not.toHaveProperty('address');
  });

  it('a certificate is judged at every request', async () => {
    const send = await world.start(world.byCertificate());
    expect(await send(world.headersOf('rfc9440'), world.proxy)).toMatchObject({
      chainTrusted: true,
    });
    const short = await clientCertificate(world.certificates.authority, {
      notAfter: secondsFromNow(systemClock, 30),
    });
    const headers = proxyHeaders.rfc9440(short.certificatePem);
    expect(await send(headers, world.proxy)).toMatchObject({ chainTrusted: true });
    world.state.now = () => secondsFromNow(systemClock, 31);
    expect((await send(headers, world.proxy)).defect).toContain('expired at');
  });

  it('an issuer that expires is noticed within a minute', async () => {
    const { authority } = world.certificates;
    const issuing = intermediate(authority, { notAfter: secondsFromNow(systemClock, 90) });
    const { certificatePem } = await clientCertificate(issuing);
    const send = await world.start(world.byCertificate());
    const headers = proxyHeaders.rfc9440(certificatePem, [issuing.certificatePem]);
    expect(await send(headers, world.proxy)).toMatchObject({ chainTrusted: true });
    world.state.now = () => secondsFromNow(systemClock, 151);
    const seen = await send(headers, world.proxy);
    expect(seen.chainTrusted).toBe(false);
    expect(seen.refusal).toMatch(/Issuing CA.+expired at/);
  });

  it('defects are those of a connection of our own', async () => {
    const server = await clientCertificate(world.certificates.authority, {
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    });
    const send = await world.start(world.byCertificate());
    const forwarded = await send(proxyHeaders.rfc9440(server.certificatePem), world.proxy);
    const own = await send({}, server);
    expect(forwarded.defect).toMatch(/extended key usage/);
    expect(own.defect).toBe(forwarded.defect);
  });
});

describe('Revocation', () => {
  const asked: number[] = [];
  const answering = (verdict: Awaited<ReturnType<Revocation['check']>>): Revocation => ({
    check(chain) {
      asked.push(chain.length);
      return Promise.resolve(verdict);
    },
  });
  const revoked = answering({ status: 'revoked', reason: 'keyCompromise' });

  beforeEach(() => {
    asked.length = 0;
  });

  it('refuses what is revoked, forwarded or not', async () => {
    const send = await world.start(world.byCertificate(), revoked);
    const expected = { chainTrusted: false, defect: 'revoked: keyCompromise' };
    expect(await send(world.headersOf('rfc9440'), world.proxy)).toMatchObject(expected);
    expect(await send({}, world.client)).toMatchObject(expected);
  });

  it('refuses what nobody knows of', async () => {
    const send = await world.start({}, answering({ status: 'unknown', reason: 'no answer' }));
    expect((await send({}, world.client)).refusal).toBe('revocation is unknown: no answer');
  });

  it('leaves what is good as it is, and asks for nothing that is not trusted', async () => {
    const send = await world.start({}, answering({ status: 'good' }));
    expect(await send({}, world.client)).toMatchObject({ chainTrusted: true });
    await send({}, await clientCertificate(world.certificates.foreignAuthority));
    expect(asked).toEqual([1]);
  });

  it('is asked once a second about a certificate that is good, each time about any other', async () => {
    const now = systemClock.now();
    world.state.now = () => now;
    const isGood = await world.start(world.byCertificate(), answering({ status: 'good' }));
    const headers = world.headersOf('rfc9440');
    await isGood(headers, world.proxy);
    expect(await isGood(headers, world.proxy)).toMatchObject({ chainTrusted: true });
    expect(asked).toHaveLength(1);
    world.state.now = () => secondsFromNow({ now: () => now }, 1);
    await isGood(headers, world.proxy);
    expect(asked).toHaveLength(2);
    const isRevoked = await world.start(world.byCertificate(), revoked);
    await isRevoked(headers, world.proxy);
    expect(await isRevoked(headers, world.proxy)).toMatchObject({ chainTrusted: false });
    expect(asked).toHaveLength(4);
  });

  it('is asked with the path that a proxy told of', async () => {
    const issuing = intermediate(world.certificates.authority);
    const { certificatePem } = await clientCertificate(issuing);
    const send = await world.start(world.byCertificate(), revoked);
    await send(proxyHeaders.rfc9440(certificatePem, [issuing.certificatePem]), world.proxy);
    expect(asked).toEqual([3]);
  });
});

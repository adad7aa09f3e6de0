import { Agent } from 'node:https';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { ProxySettings } from '../../src/tls/certificate-source.ts';
import {
  clientCertificate,
  expiredClientCertificate,
  selfSignedClientCertificate,
} from '../support/certificates.ts';
import {
  bySecret,
  certificateWorld,
  nextProxySecret,
  proxySecret,
} from '../support/certificate-world.ts';

let world: Awaited<ReturnType<typeof certificateWorld>>;

beforeAll(async () => {
  world = await certificateWorld();
});

afterEach(() => world.reset());

const seenClient = { proxied: true, subject: expect.stringContaining('tpp-1') as string };
const secretHeader = { 'Countersign-Proxy-Secret': proxySecret };

describe('A proxy is known', () => {
  const send = async (
    settings: Partial<ProxySettings>,
    headers: Record<string, string | string[]>,
    certificate?: IssuedCertificate,
  ) => (await world.start(settings))({ ...world.headersOf('rfc9440'), ...headers }, certificate);

  it('by every kind of name', async () => {
    const names = [{ property: 'tls_client_auth_subject_dn', value: 'CN=proxy-1' }] as const;
    const settings = { ...world.byCertificate(), names };
    expect(await send(settings, {}, world.proxy)).toMatchObject(seenClient);
  });

  it('by either of two secrets while they change', async () => {
    for (const value of [proxySecret, nextProxySecret]) {
      const header = { 'Countersign-Proxy-Secret': value };
      expect(await send(bySecret, header)).toMatchObject(seenClient);
    }
  });

  it('by the name that AWS WAF gives to the header', async () => {
    const header = { 'x-amzn-waf-countersign-proxy-secret': proxySecret };
    expect(await send(bySecret, header)).toMatchObject(seenClient);
  });

  it.each([
    ['with a wrong secret', { 'Countersign-Proxy-Secret': `${proxySecret}x` }],
    ['with an empty secret', { 'Countersign-Proxy-Secret': '' }],
    ['with the secret twice', { 'Countersign-Proxy-Secret': [proxySecret, proxySecret] }],
    [
      'with both secrets in one',
      { 'Countersign-Proxy-Secret': `${nextProxySecret},${proxySecret}` },
    ],
  ])('not %s', async (_what, header) => {
    expect(await send(bySecret, header)).toMatchObject({ proxied: false });
  });

  it('not from another network, whatever it knows', async () => {
    const settings = { ...bySecret, networks: ['10.0.0.0/8', '2001:db8::/32'] };
    expect(await send(settings, secretHeader)).toMatchObject({ proxied: false });
  });

  it('not by no secret where none is configured', async () => {
    const settings = { networks: ['127.0.0.0/8'], secrets: [] };
    const seen = await send(settings, { 'Countersign-Proxy-Secret': '' });
    expect(seen).toMatchObject({ proxied: false });
  });

  it("not by a name in a client's certificate", async () => {
    const named = await clientCertificate(world.certificates.authority, {
      sanDns: ['proxy.bank.internal'],
    });
    const seen = await send(world.byCertificate(), {}, named);
    expect(seen).toMatchObject({ proxied: false, chainTrusted: true });
  });

  it('not by a certificate that it signed itself', async () => {
    const own = await selfSignedClientCertificate({ sanDns: ['proxy.bank.internal'] });
    expect(await send(world.byCertificate(), {}, own)).toMatchObject({ proxied: false });
  });

  it.each([
    ['another name', {}],
    ['a name with it inside', { sanDns: ['proxy.bank.internal.example'] }],
    [
      'a purpose that is not clients',
      { sanDns: ['proxy.bank.internal'], extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] },
    ],
  ])("and refused with a certificate of the proxies' authority with %s", async (_what, options) => {
    const other = await clientCertificate(world.proxyAuthority, options);
    expect(await send(world.byCertificate(), {}, other)).toMatchObject({
      error: expect.stringMatching(/^invalid_request: a proxy's certificate: /) as string,
    });
  });

  it('and refused when its certificate has expired, on an open connection too', async () => {
    const expired = await expiredClientCertificate(world.proxyAuthority, {
      sanDns: ['proxy.bank.internal'],
    });
    expect((await send(world.byCertificate(), {}, expired)).error).toContain('expired at');
    const sendMore = await world.start(world.byCertificate());
    const agent = new Agent({ keepAlive: true });
    expect(await sendMore(world.headersOf('rfc9440'), world.proxy, { agent })).toMatchObject(
      seenClient,
    );
    world.state.now = () => secondsFromNow(systemClock, 900 * 86_400);
    expect((await sendMore(world.headersOf('rfc9440'), world.proxy, { agent })).error).toContain(
      'expired at',
    );
    agent.destroy();
  });
});

describe('Headers that only a proxy may set', () => {
  const names = [
    ...['Client-Cert', 'SSL_CLIENT_CERT', 'X-SSL-Client-Verify', 'X-ARR-ClientCert'],
    ...['X-Forwarded-For', 'Forwarded', 'X-Forwarded-Host', 'X-Real-IP', 'x_forwarded_for'],
    ...['Countersign-Proxy-Secret', 'X-Forwarded-Client-Cert'],
  ];

  it.each(names)('are gone before anything reads them: %s', async (name) => {
    for (const certificate of [undefined, world.proxy, world.client]) {
      const send = await world.start({ ...world.byCertificate(), certificateHeader: 'none' });
      const { left } = await send({ [name]: ['SUCCESS', 'x'], 'X-Kept': 'kept' }, certificate);
      expect(left).toContain('kept');
      expect(left.map((text) => text.toLowerCase())).not.toContain(name.toLowerCase());
      expect(left).not.toContain('SUCCESS');
    }
  });

  it('are logged once a minute for an address, without their values', async () => {
    const send = await world.start(world.byCertificate());
    const lines = async () =>
      (await world.state.log.lines()).filter(
        ({ message }) => message === 'Certificate headers were dropped',
      );
    for (let count = 0; count < 3; count++) await send(world.headersOf('rfc9440'));
    expect(await lines()).toMatchObject([
      { level: 'warn', peer: '127.0.0.1', headers: ['client-cert'], reason: 'no_proxy' },
    ]);
    world.state.now = () => secondsFromNow(systemClock, 61);
    await send(world.headersOf('rfc9440'));
    expect(await lines()).toHaveLength(2);
    expect(await world.dropped('no_proxy')).toBe(4);
    expect(await world.state.log.raw()).not.toContain(
      world.headersOf('rfc9440')['Client-Cert']?.slice(1, 60),
    );
  });
});

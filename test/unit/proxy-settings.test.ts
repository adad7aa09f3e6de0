import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import {
  createCertificateAuthority,
  type IssuedCertificate,
} from '../../src/development/certificate-authority.ts';
import { configurationProblems } from '../../src/startup/configuration-problems.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { intermediate } from '../support/certificate-chains.ts';

let proxyAuthority: IssuedCertificate;
let clientAuthority: IssuedCertificate;

beforeAll(async () => {
  ({ authority: clientAuthority, foreignAuthority: proxyAuthority } =
    await createTestCertificates());
});

const secret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';
const prefix = 'COUNTERSIGN_PROXY_';

/** What a server says of these settings before it starts; names without COUNTERSIGN_PROXY_. */
function problems(settings: Record<string, string>, further: Record<string, string> = {}) {
  const named = Object.entries(settings).map(([name, value]) => [prefix + name, value] as const);
  return configurationProblems({ ...Object.fromEntries(named), ...further }, systemClock);
}

const byCertificate = () => ({
  TRUSTSTORE: proxyAuthority.certificatePem,
  NAMES: 'dns:proxy.bank.internal',
});
const bySecret = { NETWORKS: '10.1.2.0/24', SECRETS: secret };

describe('The server starts', () => {
  it('with proxies that are known', async () => {
    expect(await problems({ CERTIFICATE_HEADER: 'nginx', ...byCertificate() })).toEqual([]);
    expect(await problems({ CERTIFICATE_HEADER: 'alb', ...bySecret })).toEqual([]);
    expect(
      await problems({ CERTIFICATE_HEADER: 'envoy', ...byCertificate(), ...bySecret }),
    ).toEqual([]);
  });

  it('with proxies that tell of addresses only', async () => {
    expect(await problems(bySecret)).toEqual([]);
  });
});

describe('The server does not start', () => {
  it.each(['rfc9440', 'envoy', 'nginx', 'haproxy', 'traefik', 'alb'])(
    'with the header of %s and no way to know its proxies',
    async (header) => {
      expect(await problems({ CERTIFICATE_HEADER: header })).toEqual([
        expect.stringMatching(
          /^COUNTERSIGN_PROXY_CERTIFICATE_HEADER .+nothing tells proxies.+: set /,
        ),
      ]);
    },
  );

  it.each([
    ['NAMES', { NAMES: 'dns:a' }, 'TRUSTSTORE'],
    ['NETWORKS', { NETWORKS: '10.0.0.0/8' }, 'SECRETS'],
    ['SECRETS', { SECRETS: secret }, 'NETWORKS'],
  ])('with half a proof: %s alone', async (_name, settings, lacking) => {
    expect(await problems(settings)).toEqual([
      expect.stringMatching(new RegExp(`^${prefix}${lacking} is not set, without which`)),
    ]);
    const headed = await problems({ ...settings, CERTIFICATE_HEADER: 'nginx' });
    expect(headed).toHaveLength(2);
  });

  it('with a truststore and no names', async () => {
    const { TRUSTSTORE } = byCertificate();
    expect(await problems({ TRUSTSTORE })).toEqual([
      expect.stringContaining('COUNTERSIGN_PROXY_NAMES is not set'),
    ]);
  });

  it.each([
    ['SECRETS', 'short'],
    ['SECRETS', secret.slice(0, 31)],
    ['SECRETS', 'a'.repeat(40)],
    ['SECRETS', ''],
    ['SECRETS', `${secret},`.repeat(3)],
    ['SECRETS', `${secret} ${secret}`],
    ['NAMES', ''],
    ['NAMES', ' ; '],
    ['NAMES', 'proxy.bank.internal'],
    ['NAMES', 'dns:'],
    ['NETWORKS', ''],
    ['NETWORKS', '0.0.0.0/0'],
    ['NETWORKS', '::/0'],
    ['NETWORKS', '10.0.0.0'],
    ['NETWORKS', '10.0.0.0/33'],
    ['NETWORKS', '10.0.0.0/8/8'],
    ['NETWORKS', 'proxy.bank.internal/24'],
    ['CERTIFICATE_HEADER', 'x-my-header'],
    ['HOPS', '0'],
    ['HOPS', '6'],
    ['ADDRESS_HEADER', 'x-real-ip'],
  ])('with %s=%j', async (name, value) => {
    const others = { CERTIFICATE_HEADER: 'nginx', ...byCertificate(), ...bySecret };
    const found = await problems({ ...others, [name]: value });
    expect(found).toContainEqual(expect.stringMatching(new RegExp(`^${prefix}${name} must `)));
  });

  it("with proxies' certificates from an authority of the clients", async () => {
    const settings = { ...byCertificate(), CERTIFICATE_HEADER: 'nginx' };
    const shared = { COUNTERSIGN_CLIENT_TRUSTSTORE: proxyAuthority.certificatePem };
    expect(await problems(settings, shared)).toEqual([
      expect.stringContaining(
        'COUNTERSIGN_PROXY_TRUSTSTORE holds an authority that issues to clients too',
      ),
    ]);
    const apart = { COUNTERSIGN_CLIENT_TRUSTSTORE: clientAuthority.certificatePem };
    expect(await problems(settings, apart)).toEqual([]);
    const crossed = intermediate(clientAuthority);
    const both = {
      COUNTERSIGN_CLIENT_TRUSTSTORE: crossed.certificatePem + clientAuthority.certificatePem,
    };
    expect(await problems({ ...settings, TRUSTSTORE: crossed.certificatePem }, both)).toHaveLength(
      1,
    );
  });

  it('with the authority that development makes for its clients', async () => {
    const { certificatePem } = await createCertificateAuthority({ clock: systemClock });
    const settings = { ...byCertificate(), TRUSTSTORE: certificatePem };
    expect(await problems(settings)).toHaveLength(1);
  });

  it('with a truststore that holds no authority', async () => {
    const { certificatePem } = await clientCertificate(proxyAuthority);
    for (const TRUSTSTORE of ['nothing', certificatePem]) {
      expect(await problems({ ...byCertificate(), TRUSTSTORE })).toEqual([
        expect.stringMatching(/^COUNTERSIGN_PROXY_TRUSTSTORE: The truststore is refused/),
      ]);
    }
  });

  it('with one origin for both hosts, behind a proxy', async () => {
    const origin = {
      COUNTERSIGN_ISSUER: 'https://a.example',
      COUNTERSIGN_MTLS_ORIGIN: 'https://a.example',
    };
    expect(await problems({ CERTIFICATE_HEADER: 'alb', ...bySecret }, origin)).toEqual([
      expect.stringContaining('COUNTERSIGN_MTLS_ORIGIN is the same as COUNTERSIGN_ISSUER'),
    ]);
  });
});

describe("Proxies' names", () => {
  it.each([
    ['dns:a.example', [['tls_client_auth_san_dns', 'a.example']]],
    [
      ' dn:CN=proxy\\;1,O=Bank ; uri:spiffe://bank/edge\nip:10.0.0.1;email:a@b.example',
      [
        ['tls_client_auth_subject_dn', 'CN=proxy\\;1,O=Bank'],
        ['tls_client_auth_san_uri', 'spiffe://bank/edge'],
        ['tls_client_auth_san_ip', '10.0.0.1'],
        ['tls_client_auth_san_email', 'a@b.example'],
      ],
    ],
  ])('are read from %j', (value, expected) => {
    const loaded = loadConfiguration({ COUNTERSIGN_PROXY_NAMES: value });
    const names = loaded.ok ? loaded.configuration.proxyNames : undefined;
    expect(names?.map(({ property, value: name }) => [property, name])).toEqual(expected);
  });
});

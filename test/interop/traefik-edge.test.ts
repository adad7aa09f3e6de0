import { describe, expect, it } from 'vitest';
import { machineToken } from './support/access-tokens.ts';
import { expectNotPassed } from './support/edge-expectations.ts';
import { startTraefikGateway } from './support/edge-gateways.ts';
import { describeGateway } from './support/edge-suites.ts';

const world = describeGateway({
  name: 'Traefik',
  kind: 'traefik',
  start: (place) => startTraefikGateway(place),
  differences: {
    http10: [404, 200],
    http2: true,
    normalises: {
      '//accounts': '/accounts',
      '///accounts': '/accounts',
      '/./accounts': '/accounts',
      '/../accounts': '/accounts',
      '/accounts/.': '/accounts',
      '/%61ccounts': '/accounts',
      '/files/../accounts': '/accounts',
      '/files/%2e%2e/accounts': '/accounts',
      '/edge/verify/../../accounts': '/accounts',
      'https://api.gateway.example//accounts': '/accounts',
      'http:/accounts': '/accounts',
      '/files//a': '/files/a',
      '/files/%7E': '/files/~',
    },
    takesAway: ['x-forwarded-prefix'],
    aliases: { underscores: 200, others: 200 },
    nextNonce: false,
    undecided: { status: 500, retryAfter: undefined },
    upgrades: { websocket: 200, h2c: 200, 'TLS/1.2': 200 },
    ownPath: 403,
    refusals: [400, 404, 501],
  },
});

it('Traefik lets nobody pass who asked for another name in the handshake', async () => {
  const token = await machineToken(world().server, 'tpp');
  await expectNotPassed(world(), { token, servername: 'localhost' }, 421);
});

describe('Traefik with another entry point', () => {
  const at = async (more: string, headers: readonly string[]) => {
    const entryPoint = `entryPoints: { api: { address: ':443', ${more} } }`;
    const { startAnother, ask, server } = world();
    const other = await startAnother({}, (place) => startTraefikGateway(place, entryPoint));
    const asked = { token: await machineToken(server, 'tpp'), at: other.port };
    return {
      statuses: await Promise.all(
        headers.map(async (header) => (await ask({ ...asked, headers: [header] })).status),
      ),
      admin: (await ask({ ...asked, headers, target: '/admin' })).status,
      stranger: (await ask({ ...asked, headers, certificate: undefined })).status,
      stop: () => other.stop(),
    };
  };

  it('that keeps names which servers take for others leaves those to Countersign', async () => {
    const names = ['X_User_ID', 'X.Scopes', 'X!Client!ID', 'X~HTTP~Method~Override', 'X+User-ID'];
    const headers = names.map((name) => `${name}: admin`);
    const { statuses, stop } = await at('http: { aliasHeadersStrategy: keep }', headers);
    await stop();
    expect(statuses).toEqual(names.map(() => 403));
    expect(world().api.passed).toEqual([]);
  });

  it('that believes its callers believes nothing that matters', async () => {
    const pem = world().server.tpp.certificatePem.replaceAll(/-.*-|\s/g, '');
    const headers = [
      ...['X-Forwarded-Uri: /accounts', 'X-Forwarded-Method: GET', 'X-Original-URI: /accounts'],
      ...[`X-Forwarded-Tls-Client-Cert: ${pem}`, 'X-Forwarded-Tls-Client-Cert-Info: x'],
    ];
    const believing = 'forwardedHeaders: { insecure: true }';
    const { statuses, admin, stranger, stop } = await at(believing, headers);
    await stop();
    expect([statuses, admin, stranger]).toEqual([headers.map(() => 200), 403, 401]);
    expect(world().api.passed).toHaveLength(headers.length);
    expect(JSON.stringify(world().api.passed)).not.toMatch(/MII|cert-info|x-original/);
  });
});

import { describe, expect, it } from 'vitest';
import { asking, overriding } from '../../../src/edge/original-request.ts';
import { machineToken } from './access-tokens.ts';
import type { Asked } from './edge-caller.ts';
import { expectNotPassed } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';

/** Headers of callers that Countersign, or the API, could take for those of a gateway. */
export function describeHeaders({ name, differences, world }: Suite): void {
  const expectRefused = (asked: Asked, status: number) => expectNotPassed(world(), asked, status);
  const tppToken = () => machineToken(world().server, 'tpp');

  describe(`${name} is not misled by`, () => {
    it('an identity that the caller made up', async () => {
      const { ask, api } = world();
      const token = await tppToken();
      const headers = [
        ...['X-User-ID: admin', 'x-user-id: admin', 'X-Client-ID: admin', 'X-Scopes: admin'],
        ...['X-Consent-ID: any', 'X-Token-Expires: 9999999999', 'X-Request-ID: any'],
        ...['X-API-Key-ID: any', 'X-CLIENT-ID: admin', 'x-scopes: admin'],
      ];
      expect((await ask({ token, headers })).status).toBe(200);
      const [{ headers: told, names } = { headers: {}, names: [] }] = api.passed;
      expect(told).toMatchObject({ 'x-client-id': 'tpp', 'x-scopes': 'accounts' });
      expect(JSON.stringify(api.passed)).not.toMatch(/admin|"any"|9999999999/);
      for (const each of ['x-client-id', 'x-scopes', 'x-request-id']) {
        expect(names.filter((name_) => name_ === each)).toEqual([each]);
      }
      await expectRefused({ headers }, 401);
    });

    it('names that servers take for those', async () => {
      const { ask, api } = world();
      const token = await tppToken();
      const { underscores, others } = differences.aliases;
      const names = ['User-ID', 'Scopes', 'Forwarded-Prefix', 'Forwarded-For', 'Original-URI'];
      for (const letter of ['_', '.', '!', '~', '+']) {
        const expected = letter === '_' ? underscores : others;
        for (const alias of names.flatMap((each) => [
          `X${letter}${each}`,
          `X${letter}${each.replaceAll('-', letter)}`,
        ])) {
          const { status } = await ask({ token, headers: [`${alias}: admin`] });
          expect([alias, status]).toEqual([alias, expected]);
        }
      }
      expect(JSON.stringify(api.passed)).not.toContain('admin');
    });

    it('what the caller says of the original request, the certificate, or the proxy', async () => {
      const { server, ask, api } = world();
      const token = await tppToken();
      const told = ['X-Original-URI: /accounts', 'X-Original-Method: GET', 'X-Forwarded-Uri: /a'];
      await expectRefused({ token, target: '/admin', headers: told }, 403);
      const same = ['X-Forwarded-Uri: /accounts', 'X-Forwarded-Method: GET'];
      await expectRefused({ token, target: '/admin', headers: same }, 403);
      const { tpp } = server;
      const pem = encodeURIComponent(tpp.certificatePem);
      const base64 = tpp.certificatePem.replaceAll(/-.*-|\s/g, '');
      const certificate = [
        ...[`ssl-client-cert: ${pem}`, `X-Forwarded-Client-Cert: Cert="${pem}"`],
        ...[`X-Forwarded-Tls-Client-Cert: ${base64}`, `Client-Cert: :${base64}:`],
      ];
      for (const headers of [certificate, ...certificate.map((line) => [line])]) {
        await expectRefused({ token, certificate: undefined, headers }, 401);
      }
      // Countersign is told the gateway's own; the API gets neither those nor the caller's.
      const headers = asking.map((each) => `${each}: /admin`);
      expect((await ask({ token, headers })).status).toBe(200);
      expect(JSON.stringify(api.passed)).not.toMatch(/x.original|admin/);
    });

    it('where the caller says that it is, or by which name it came', async () => {
      const { ask, api } = world();
      const token = await tppToken();
      const from = '127.0.0.11';
      const headers = [
        ...[
          'X-Forwarded-For: 203.0.113.66',
          'X-Real-IP: 203.0.113.66',
          'X-Client-IP: 203.0.113.66',
        ],
        ...['Forwarded: for=203.0.113.66;host=other.example', 'True-Client-IP: 203.0.113.66'],
        ...['X-Forwarded-Host: other.example', 'X-Forwarded-Proto: other', 'X-Forwarded-Port: 66'],
        ...['X-Forwarded-Server: other.example', 'X-Forwarded-Scheme: other'],
        ...['X-Envoy-External-Address: 203.0.113.66', 'X-Cluster-Client-IP: 203.0.113.66'],
      ];
      expect((await ask({ token, from, headers })).status).toBe(200);
      const told = api.passed[0]?.headers ?? {};
      const lastHop = String(told['x-forwarded-for'] ?? from)
        .split(',')
        .at(-1)
        ?.trim();
      expect(lastHop).toBe(from);
      const others = { ...told, 'x-forwarded-for': '' };
      expect(JSON.stringify(others)).not.toMatch(/203\.0\.113|other|"66"/);
    });

    it.each(overriding)('another method or path in %s', async (header) => {
      const { ask, api } = world();
      const token = await tppToken();
      const headers = [`${header}: /admin`];
      const taken = differences.takesAway.includes(header);
      expect((await ask({ token, headers })).status).toBe(taken ? 200 : 403);
      expect(api.passed).toHaveLength(taken ? 1 : 0);
      expect(JSON.stringify(api.passed)).not.toContain('admin');
    });

    it('headers that the caller names in Connection', async () => {
      const { ask, api } = world();
      const token = await tppToken();
      const identity = 'Connection: X-Client-ID, X-Scopes, X-Token-Expires';
      expect((await ask({ token, headers: [identity] })).status).toBe(200);
      expect(api.passed[0]?.headers).toMatchObject({
        'x-client-id': 'tpp',
        'x-scopes': 'accounts',
      });
      const hidden = ['Connection: X-HTTP-Method-Override', 'X-HTTP-Method-Override: DELETE'];
      await ask({ token, headers: hidden });
      expect(JSON.stringify(api.passed)).not.toContain('DELETE');
      const certificate = ['Connection: X-Forwarded-Tls-Client-Cert, X-Forwarded-Client-Cert'];
      const { status } = await ask({ certificate: undefined, token, headers: certificate });
      expect(status).toBe(401);
    });

    it('headers that come twice', async () => {
      const { ask, api } = world();
      const token = await tppToken();
      const bearer = `Authorization: Bearer ${token}`;
      for (const headers of [
        [bearer, bearer],
        [bearer, 'Authorization: Bearer x'],
        ['Authorization: Bearer x', bearer],
        [bearer, 'X-API-Key: ck_test_x'],
      ]) {
        const { status } = await ask({ headers });
        // Some proxies refuse a second Authorization line themselves.
        expect([400, 401]).toContain(status);
        expect(api.passed).toEqual([]);
      }
      const { status } = await ask({ token, headers: ['Host: other.example'] });
      expect([status, differences.refusals.includes(status)]).toEqual([status, true]);
      expect(api.passed).toEqual([]);
    });
  });
}

import { describe, expect, it } from 'vitest';
import { gateway } from '../../support/edge.ts';
import { dpopProof } from '../../support/fapi.ts';
import { accountsApi } from '../../support/server.ts';
import { customerTokens } from '../../support/tokens.ts';
import { machineToken } from './access-tokens.ts';
import { expectNotPassed } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';
import { keyHolder } from './edge-world.ts';

/** Who passes a gateway, and what the API is told. */
export function describePassing({ name, differences, world }: Suite): void {
  describe(`${name} lets pass`, () => {
    it('a customer’s token with its certificate, and says who it is', async () => {
      const { server, ask, api } = world();
      const access = { resource: accountsApi, scope: 'openid accounts' };
      const { accessToken: token } = await customerTokens(server, 'tpp', access);
      const target = '/accounts?page=1&x=/../';
      expect(await ask({ token, target })).toMatchObject({ status: 200 });
      expect(api.passed).toMatchObject([
        {
          request: `GET ${target}`,
          headers: {
            'x-user-id': server.customer.id,
            'x-client-id': 'tpp',
            'x-scopes': 'openid accounts',
            'x-token-expires': expect.stringMatching(/^\d+$/) as string,
            'x-request-id': expect.stringMatching(/^[\da-f-]{36}$/) as string,
          },
        },
      ]);
      expect(api.passed[0]?.headers).not.toHaveProperty('authorization');
      expect(api.passed[0]?.headers).not.toHaveProperty('x-consent-id');
      const certificate = /BEGIN|MII[\w+/]{40}/;
      expect(JSON.stringify(api.passed)).not.toMatch(certificate);
    });

    it('the same caller on a connection that it resumes', async () => {
      const { server, ask } = world();
      const token = await machineToken(server, 'tpp');
      const { session, status } = await ask({ token });
      expect([status, (await ask({ token, session })).status]).toEqual([200, 200]);
    });

    it('an API key, until it is used too often, and from its addresses only', async () => {
      const { ask, api, newKey } = world();
      const headers = [`X-API-Key: ${await newKey()}`];
      const key = { target: '/keys', certificate: undefined, headers };
      const made = ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'X-Envoy-External-Address'];
      const elsewhere = { ...key, from: '127.0.0.10' };
      for (const of of ['', 'for=']) {
        const told = made.map((header) => `${header}: ${of}${keyHolder}`);
        await expectNotPassed(world(), { ...elsewhere, headers: [...headers, ...told] }, 401);
      }
      const withKey = () => ask({ ...key, from: keyHolder });
      expect([(await withKey()).status, (await withKey()).status]).toEqual([200, 200]);
      expect(api.passed[0]?.headers).toMatchObject({ 'x-client-id': 'tpp' });
      expect(api.passed[0]?.headers).not.toHaveProperty('x-api-key');
      const limited = await withKey();
      expect([limited.status, api.passed.length]).toEqual([429, 2]);
      expect(Number(limited.retryAfter)).toBeGreaterThan(0);
    });

    it('a key’s holder with a nonce that it hands on', async () => {
      const { holder, ask, api } = world();
      const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
      const nonceOf = (answer: { headers: Headers }) => answer.headers.get('dpop-nonce') ?? '';
      const first = await holder.token(form);
      const granted = await holder.token(form, { proof: { nonce: nonceOf(first) } });
      const accessToken = String(granted.body['access_token']);
      const withNonce = async (nonce?: string) => {
        const proof = { key: holder.proofKey, url: `${gateway}/accounts`, method: 'GET' };
        const dpop = await dpopProof({ ...proof, accessToken, ...(nonce && { nonce }) });
        return ask({ headers: [`Authorization: DPoP ${accessToken}`, `DPoP: ${dpop}`] });
      };
      const refused = await withNonce();
      expect(refused).toMatchObject({
        status: 401,
        challenge: expect.stringContaining('DPoP realm') as string,
      });
      expect(refused.challenge).toContain('error="use_dpop_nonce"');
      const admitted = await withNonce(refused.nonce);
      expect(admitted.status).toBe(200);
      // The next one (RFC 9449 §8.2).
      expect(admitted.nonce !== undefined).toBe(differences.nextNonce);
      expect(api.passed[0]?.headers).toMatchObject({ 'x-client-id': 'bank-app' });
      expect(api.passed[0]?.headers).not.toHaveProperty('dpop');
    });

    it('HTTP/1.0 by the same rules, or not at all', async () => {
      const { server, ask, api } = world();
      const token = await machineToken(server, 'tpp');
      for (const [index, headers] of [[], [`Host: ${new URL(gateway).host}`]].entries()) {
        const old = { version: '1.0', headers };
        const expected = differences.http10[index] ?? 0;
        const refusedWith = (status: number) => (expected === 200 ? status : expected);
        api.passed.length = 0;
        expect([headers, (await ask({ ...old, token })).status]).toEqual([headers, expected]);
        expect(api.passed).toHaveLength(expected === 200 ? 1 : 0);
        await expectNotPassed(world(), old, refusedWith(401));
        await expectNotPassed(world(), { ...old, token, target: '/no' }, refusedWith(403));
        await expectNotPassed(world(), { ...old, token, certificate: undefined }, refusedWith(401));
      }
    });
  });
}

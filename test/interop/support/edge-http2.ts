import { describe, expect, it } from 'vitest';
import { overriding } from '../../../src/edge/original-request.ts';
import { machineToken } from './access-tokens.ts';
import type { AskedByHttp2 } from './edge-caller.ts';
import { expectAskedAbout } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';

/** Requests over HTTP/2 (RFC 9113). */
export function describeHttp2({ name, differences, world }: Suite): void {
  const bearer = async () => [
    'authorization',
    `Bearer ${await machineToken(world().server, 'tpp')}`,
  ];
  const statusOf = async (asked: AskedByHttp2) => {
    const answer = await world().askByHttp2(asked);
    return 'status' in answer ? answer.status : answer.refused;
  };
  const expectRefused = async (asked: AskedByHttp2, expected: readonly unknown[]) => {
    const status = await statusOf(asked);
    expect([asked.headers, expected.includes(status) ? 'refused' : status]).toEqual([
      asked.headers,
      'refused',
    ]);
    expect(world().api.passed).toEqual([]);
  };

  if (!differences.http2) {
    it(`${name} speaks no HTTP/2`, async () => {
      expect(await statusOf({ headers: await bearer() })).toMatch(/no HTTP\/2|protocol/);
      expect(world().api.passed).toEqual([]);
    });
    return;
  }

  describe(`${name} over HTTP/2`, () => {
    it('lets pass who may, and says who it is', async () => {
      const { api } = world();
      const made = ['x-user-id', 'admin', 'x-client-id', 'admin', 'x-client-id', 'admin'];
      expect(await statusOf({ headers: [...(await bearer()), ...made] })).toBe(200);
      expect(api.passed).toMatchObject([
        { request: 'GET /accounts', headers: { 'x-client-id': 'tpp', 'x-scopes': 'accounts' } },
      ]);
      expect(JSON.stringify(api.passed)).not.toMatch(/admin|authorization/);
      expectAskedAbout(world());
    });

    it('does not let pass who may not', async () => {
      const token = await bearer();
      await expectRefused({}, [401]);
      await expectRefused({ headers: ['authorization', 'Bearer x'] }, [401]);
      await expectRefused({ headers: token, certificate: undefined }, [401]);
      await expectRefused({ headers: [...token, ':method', 'DELETE'] }, [403]);
      await expectRefused({ headers: [...token, ':path', '/admin'] }, [403]);
      for (const header of overriding) {
        if (differences.takesAway.includes(header)) continue;
        await expectRefused({ headers: [...token, header, '/admin'] }, [403]);
      }
    });

    it('is not misled by what comes twice, or where it does not belong', async () => {
      const { api } = world();
      const token = await bearer();
      const own = ['x-forwarded-uri', '/accounts', 'x-forwarded-method', 'GET'];
      await expectRefused({ headers: [...token, ...own, ':path', '/admin'] }, [403]);
      for (const headers of [
        [...token, ...token],
        [...token, 'authorization', 'Bearer x'],
        [...token, ':path', '/accounts', ':path', '/admin'],
        [...token, ':method', 'GET', ':method', 'DELETE'],
        [...token, 'host', 'other.example'],
        [...token, ':path', '//accounts'],
        [...token, ':path', '/accounts#x'],
        [...token, ':path', '/accounts GET'],
        [...token, ':scheme', 'http', ':path', 'https://x.example/admin'],
        [...token, 'x-a', 'b\r\nx-user-id: admin'],
      ]) {
        await statusOf({ headers });
      }
      expect(JSON.stringify(api.passed)).not.toMatch(/admin|DELETE|other|#/);
      expectAskedAbout(world());
    });

    it('hands on bodies whole, and no request within one', async () => {
      const { api, server } = world();
      const token = await machineToken(server, 'tpp', { scope: 'payments' });
      const body = '{}\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n';
      const post = [':method', 'POST', ':path', '/payments', 'authorization', `Bearer ${token}`];
      expect(await statusOf({ headers: post, body })).toBe(200);
      expect(api.passed).toMatchObject([{ request: 'POST /payments', body }]);
      await statusOf({ headers: [...post, 'content-length', '2'], body });
      await statusOf({ headers: [...post, 'content-length', '0'], body });
      expect(api.passed.filter(({ request }) => request !== 'POST /payments')).toEqual([]);
      expectAskedAbout(world());
    });
  });
}

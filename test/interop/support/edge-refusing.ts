import { describe, expect, it } from 'vitest';
import { clientCertificate } from '../../support/certificates.ts';
import { freePort } from '../../support/free-port.ts';
import { post } from '../../support/protocol.ts';
import { accountsApi, opaqueApi, tppSubject } from '../../support/server.ts';
import { machineToken } from './access-tokens.ts';
import { expectNotPassed } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';
import type { Asked } from './edge-caller.ts';
import { strangersCertificate } from './edge-world.ts';

/** Who does not pass a gateway, and what they are told. */
export function describeRefusing({ name, differences, world }: Suite): void {
  const expectRefused = (asked: Asked & { at?: number }, status: number) =>
    expectNotPassed(world(), asked, status);
  const tppToken = (more?: { resource?: string; scope?: string }) =>
    machineToken(world().server, 'tpp', more);

  describe(`${name} does not let pass`, () => {
    it('who brings nothing, or nothing good', async () => {
      const none = await expectRefused({}, 401);
      expect(none.challenge).toMatch(/^Bearer realm=.*, DPoP realm=/);
      const unknown = await expectRefused({ token: 'x' }, 401);
      expect(unknown.challenge).toBe(
        `Bearer realm="${accountsApi}", error="invalid_token", error_description="the token is not valid here"`,
      );
      await expectRefused({ headers: ['Authorization: Basic dHBwOng='] }, 401);
      const opaque = { resource: opaqueApi, scope: 'statements' };
      await expectRefused({ token: await tppToken(opaque) }, 401);
      await expectRefused({ target: '/keys', headers: ['X-API-Key: ck_test_x'] }, 401);
    });

    it('a token without its certificate, and one that is bound to nothing', async () => {
      const { server } = world();
      const token = await tppToken();
      const { authority, foreignAuthority } = server.certificates;
      await expectRefused({ token, certificate: undefined }, 401);
      const namesake = await clientCertificate(authority, { subject: tppSubject });
      await expectRefused({ token, certificate: namesake }, 401);
      const foreign = await clientCertificate(foreignAuthority, { subject: tppSubject });
      await expectRefused({ token, certificate: foreign }, 401);
      await expectRefused({ token: await machineToken(server, 'web') }, 401);
    });

    it('a token without the scope, and names the scope', async () => {
      const token = await tppToken({ scope: 'payments' });
      const answer = await expectRefused({ token }, 403);
      expect(answer.challenge).toContain('error="insufficient_scope"');
      expect(answer.challenge).toContain('scope="accounts"');
      const paid = await world().ask({ token, method: 'POST', target: '/payments' });
      expect(paid.status).toBe(200);
    });

    it('a token that was revoked', async () => {
      const { server, ask } = world();
      const token = await tppToken();
      expect((await ask({ token })).status).toBe(200);
      const form = { client_id: 'tpp', token };
      await post(server.fetch(server.tpp), `${server.mtlsOrigin}/revoke`, { form });
      await expectRefused({ token }, 401);
    });

    it('what no route is for', async () => {
      const token = await tppToken();
      await expectRefused({ token, target: '/unknown' }, 403);
      await expectRefused({ token, target: '/' }, 403);
      await expectRefused({ token, method: 'POST' }, 403);
      await expectRefused({ token, method: 'DELETE' }, 403);
      await expectRefused({ token, target: '/_countersign' }, differences.ownPath);
      await expectRefused({ token, target: '/edge/verify' }, 403);
      const preflight = ['Origin: https://x.example', 'Access-Control-Request-Method: GET'];
      await expectRefused({ token, method: 'OPTIONS', headers: preflight }, 403);
      await expectRefused({ method: 'OPTIONS', headers: preflight }, 403);
    });

    it.each(['get', 'TRACE', 'CONNECT', 'MOVE'])('the method %s', async (method) => {
      const { ask, api } = world();
      const { status } = await ask({ token: await tppToken(), method });
      expect([status, [403, 405, ...differences.refusals].includes(status)]).toEqual([
        status,
        true,
      ]);
      expect(api.passed).toEqual([]);
    });

    it('anything when nobody decides, or nobody believes it', async () => {
      const { startAnother, ask } = world();
      const token = await tppToken();
      const [alone, stranger] = await Promise.all([
        startAnother({ countersign: await freePort() }),
        startAnother({ proxy: await strangersCertificate() }),
      ]);
      try {
        const { status, retryAfter } = differences.undecided;
        const undecided = await expectRefused({ token, at: alone.port }, status);
        expect(undecided.retryAfter).toBe(retryAfter);
        await expectRefused({ token, at: stranger.port }, 403);
        expect((await ask({ token })).status).toBe(200);
      } finally {
        await Promise.all([alone.stop(), stranger.stop()]);
      }
    });
  });
}

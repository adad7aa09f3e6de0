import { describe, expect, it } from 'vitest';
import { machineToken } from './access-tokens.ts';
import { startApi } from './edge-api.ts';
import type { Asked } from './edge-caller.ts';
import { expectAskedAbout, expectNotPassed } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';

const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const smuggled = 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n';

/** Bodies that one server may take for a request and the next one for a body (RFC 9112 §11.2). */
const ambiguous: readonly { headers: readonly string[]; body: string }[] = [
  { headers: ['Content-Length: 5', 'Transfer-Encoding: chunked'], body: `0\r\n\r\n${smuggled}` },
  { headers: ['Transfer-Encoding: chunked', 'Content-Length: 5'], body: `0\r\n\r\n${smuggled}` },
  {
    headers: [`Content-Length: ${smuggled.length + 5}`, 'Transfer-Encoding: chunked'],
    body: `0\r\n\r\n${smuggled}`,
  },
  { headers: ['Content-Length: 0', 'Content-Length: 36'], body: smuggled },
  { headers: ['Content-Length: 0, 36'], body: smuggled },
  { headers: ['Content-Length: +0'], body: smuggled },
  { headers: ['Transfer-Encoding: xchunked'], body: `0\r\n\r\n${smuggled}` },
  { headers: ['Transfer-Encoding : chunked'], body: `0\r\n\r\n${smuggled}` },
  { headers: ['Transfer-Encoding: chunked, identity'], body: `0\r\n\r\n${smuggled}` },
  {
    headers: ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'],
    body: `0\r\n\r\n${smuggled}`,
  },
  { headers: ['Transfer_Encoding: chunked', 'Content-Length: 5'], body: `0\r\n\r\n${smuggled}` },
  { headers: ['Transfer-Encoding: chunked'], body: `0\n\n${smuggled}` },
  { headers: ['Content-Length: 0', ' X: y'], body: smuggled },
];

/** Requests with bodies, and those for other protocols. */
export function describeTransport({ name, differences, world }: Suite): void {
  const paying = async (asked: Asked & { at?: number }) => ({
    ...{ method: 'POST', target: '/payments', at: world().heard.port },
    ...{ token: await machineToken(world().server, 'tpp', { scope: 'payments' }), ...asked },
  });

  describe(`${name} hands on`, () => {
    it('a body whole and once, however its length is told', async () => {
      const { ask, api } = world();
      const body = JSON.stringify({ amount: '1.00', note: 'x'.repeat(20_000) });
      const told = { headers: [`Content-Length: ${body.length}`], body };
      expect(await ask(await paying(told))).toMatchObject({
        status: 200,
        body: expect.stringContaining('served') as string,
      });
      const inChunks = { headers: ['Transfer-Encoding: chunked'], body: chunked(body) };
      expect((await ask(await paying(inChunks))).status).toBe(200);
      expect(api.passed.map((one) => one.body)).toEqual([body, body]);
      expectAskedAbout(world());
    });

    it('no body of a request that is refused', async () => {
      const body = '{"amount":"1.00"}';
      const headers = [`Content-Length: ${body.length}`];
      const { token: _token, ...refused } = await paying({ headers, body });
      await expectNotPassed(world(), refused, 401);
      await expectNotPassed(world(), { ...refused, target: '/unknown' }, 403);
    });

    it('no identity that stands behind a body', async () => {
      const { ask, api } = world();
      const body = `${chunked('{}').slice(0, -2)}X-User-ID: admin\r\nX-Client-ID: admin\r\n\r\n`;
      const headers = ['Transfer-Encoding: chunked', 'Trailer: X-User-ID, X-Client-ID'];
      expect((await ask(await paying({ headers, body }))).status).toBe(200);
      expect(api.passed).toMatchObject([{ body: '{}', trailers: [] }]);
      expect(JSON.stringify(api.passed)).not.toContain('admin');
    });

    it('no request within a body', async () => {
      const { ask, startAnother, witness } = world();
      const api = await startApi();
      const gateway = await startAnother({ api: api.port, countersign: witness.port });
      const told: [number, readonly string[]][] = [];
      for (const [index, one] of ambiguous.entries()) {
        const target = `/payments?${index}`;
        const { status } = await ask(await paying({ ...one, target, at: gateway.port }));
        told.push([status, one.headers]);
      }
      // A request with half a body may still be under way until then.
      await gateway.stop();
      api.stop();
      const reached = api.passed.map(({ request }) => request);
      const wanted = ambiguous.map((_, index) => `POST /payments?${index}`);
      expect([told, reached.filter((request) => !wanted.includes(request))]).toEqual([told, []]);
      expect(reached).toHaveLength(new Set(reached).size);
      expectAskedAbout({ api, witness });
    });
  });

  describe(`${name} decides about`, () => {
    it.each(['websocket', 'h2c', 'TLS/1.2'] as const)(
      'an upgrade to %s like about any request',
      async (to) => {
        const { ask, api, heard, server } = world();
        const headers = [
          ...['Connection: Upgrade, HTTP2-Settings', `Upgrade: ${to}`, 'HTTP2-Settings: AAMAAABk'],
          ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
        ];
        const upgrade = { headers, at: heard.port };
        const refused = await ask(upgrade);
        const expected = differences.upgrades[to];
        expect(refused.status).toBe(expected === 200 ? 401 : expected);
        expect(api.passed).toEqual([]);
        const token = await machineToken(server, 'tpp');
        expect((await ask({ ...upgrade, token })).status).toBe(expected);
        // A tunnel would carry requests that nobody is asked about.
        const passed = expected === 200 ? ['GET /accounts'] : [];
        expect(api.passed.map(({ request }) => request)).toEqual(passed);
        expectAskedAbout(world());
      },
    );
  });
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy, sendRaw } from '../support/attack.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(() => server.stop());

/** Hidden behind the first request: it would be answered with a token. */
function hidden(): string {
  const body = 'grant_type=client_credentials&scope=accounts';
  return [
    'POST /token HTTP/1.1',
    `Host: ${new URL(server.issuer).host}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Authorization: ${basic('web', server.secrets.web).authorization}`,
    `Content-Length: ${String(body.length)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function disguised(lines: readonly string[], body: string): string {
  const { host } = new URL(server.issuer);
  const type = 'Content-Type: application/x-www-form-urlencoded';
  return [`POST /token HTTP/1.1`, `Host: ${host}`, type, ...lines, '', body].join('\r\n');
}

describe('A request of two lengths', () => {
  it.each([
    ['two lengths', ['Content-Length: 0', 'Content-Length: LENGTH'], ''],
    ['two lengths in one line', ['Content-Length: 0, LENGTH'], ''],
    ['a length and chunks', ['Content-Length: LENGTH', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
    ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['chunks twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'],
    ['chunks that are not the last coding', ['Transfer-Encoding: chunked, gzip'], '0\r\n\r\n'],
    ['another coding', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
    ['a space before the colon', ['Transfer-Encoding : chunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a folded line', ['Content-Length: 5', 'Transfer-Encoding:', ' chunked'], '0\r\n\r\n'],
    ['a vertical tab', ['Transfer-Encoding:\x0bchunked', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a NUL', ['Transfer-Encoding: chunked\0', 'Content-Length: 5'], '0\r\n\r\n'],
    ['a bare line feed', ['X: y\nTransfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n'],
    [
      'a bare carriage return',
      ['X: y\rTransfer-Encoding: chunked', 'Content-Length: 5'],
      '0\r\n\r\n',
    ],
    ['a length in hex', ['Content-Length: 0x0'], ''],
    ['a signed length', ['Content-Length: +0'], ''],
    [
      'an underscore',
      ['Content_Length: 0', 'Transfer-Encoding: chunked', 'Content-Length: 0'],
      '0\r\n\r\n',
    ],
    ['a chunk size of two readings', ['Transfer-Encoding: chunked'], '0x0\r\n\r\n'],
    ['a chunk size that is negative', ['Transfer-Encoding: chunked'], '-1\r\n\r\n'],
    ['a chunk size beyond counting', ['Transfer-Encoding: chunked'], 'fffffffffffffffff0\r\n\r\n'],
    ['a chunk that is longer than it says', ['Transfer-Encoding: chunked'], '1\r\nab\r\n0\r\n\r\n'],
    ['chunk lines without carriage return', ['Transfer-Encoding: chunked'], '0\n\n'],
  ])('by %s is refused, and what is hidden in it is not answered', async (_, lines, body) => {
    const attack = async () => {
      const smuggled = hidden();
      const sized = lines.map((line) => line.replace('LENGTH', String(smuggled.length)));
      const exchange = await sendRaw(server, disguised(sized, body) + smuggled);
      expect(exchange.answers.map(({ status }) => status)).toEqual([400]);
      expect(exchange.closed).toBe(true);
      expect(exchange.text).not.toContain('access_token');
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

it('An answer never says more bytes than it has, whatever the method', async () => {
  const { host } = new URL(server.issuer);
  const paths = ['/jwks', '/nowhere', '/authorize', '/assets/countersign.css'];
  const requests = paths.map((path) => `HEAD ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const last = `GET /nowhere HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const { text } = await sendRaw(server, requests.join('') + last);
  expect(text.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(5);
  const bodies = text.split(/HTTP\/1\.1 \d{3} [^\r]*\r\n/).slice(1, 5);
  for (const answer of bodies) expect(answer.slice(answer.indexOf('\r\n\r\n') + 4)).toBe('');
});

it('Requests that come in one packet are answered one by one, each for itself', async () => {
  const { host } = new URL(server.issuer);
  const stranger = `POST /token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials`;
  const exchange = await sendRaw(server, stranger + hidden());
  expect(exchange.answers.map(({ status }) => status)).toEqual([400, 200]);
});

it('A body that nobody read does not become a request', async () => {
  const attack = async () => {
    const { host } = new URL(server.issuer);
    for (const path of ['/nowhere', '/authorize', '/jwks', '/interaction/x/login', '/logout']) {
      for (const [method, size] of [
        ['POST', 0],
        ['GET', 0],
        ['POST', 100_000],
      ] as const) {
        const body = hidden() + 'x'.repeat(size);
        const length = `Content-Length: ${String(body.length)}`;
        const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, length, 'Connection: close'];
        const exchange = await sendRaw(server, [...head, '', body].join('\r\n'));
        expect(exchange.answers.length, `for ${exchange.text.slice(0, 200)}`).toBeLessThanOrEqual(
          1,
        );
        expect(exchange.text).not.toContain('access_token');
      }
    }
  };
  expect(await issuedBy(server, attack)).toBe(0);
});

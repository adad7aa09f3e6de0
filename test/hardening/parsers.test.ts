import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfiguration } from '../../src/config/load.ts';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import { createCsrf } from '../../src/http/csrf.ts';
import { pinHost } from '../../src/http/host.ts';
import { lookupTag, parseAcceptLanguage, parseUiLocales } from '../../src/http/language-range.ts';
import { isOwnPath, linkable } from '../../src/http/safe-url.ts';
import { Problem } from '../../src/problem.ts';
import { serveSteps } from '../support/http-server.ts';
import type { TestServer } from '../support/http-server.ts';
import { basic, post } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 200 });

/** Whether `work` ends well or with a refusal of ours, and with nothing else. */
function isRefusedOrDone(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    return error instanceof Problem;
  }
}

describe('Language ranges', () => {
  const rangeish = fc
    .array(fc.constantFrom('en', 'de', 'DE', '-', ',', ';', 'q=', '0.5', '*', ' ', '1', 'x', '\t'))
    .map((parts) => parts.join(''));

  it('are found in any text without harm, at most twenty, and well formed', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, rangeish), (text) => {
        for (const ranges of [parseUiLocales(text), parseAcceptLanguage(text)]) {
          expect(ranges.length).toBeLessThanOrEqual(20);
          for (const range of ranges) expect(range).toMatch(/^[a-z]{1,8}(?:-[a-z\d]{1,8}){0,7}$/i);
          expect(['en', 'de', undefined]).toContain(lookupTag(ranges, ['en', 'de']));
        }
      }),
    );
  });

  it('of the greatest length take no time', () => {
    for (const piece of ['a-', 'a,', ' ', 'en;q=', ';', 'q=0.', '-']) {
      const text = piece.repeat(16_384 / piece.length);
      const started = performance.now();
      lookupTag([...parseUiLocales(text), ...parseAcceptLanguage(text)], ['en', 'de']);
      expect(performance.now() - started).toBeLessThan(250);
    }
  });
});

describe('Host', () => {
  let site: TestServer;

  beforeAll(async () => {
    const hosts = { publicHost: 'auth.bank.example', mtlsHost: 'mtls.bank.example' };
    site = await serveSteps([pinHost(hosts), (ctx) => (ctx.body = 'inside')]);
  });

  afterAll(() => site[Symbol.asyncDispose]());

  it('lets nobody in but who names ours, in whatever letters', async () => {
    const parts = [
      'auth.bank.example',
      'AUTH',
      '.',
      ':443',
      ':',
      '@',
      '/',
      '\\',
      'evil',
      ',',
      '%2e',
    ];
    const host = fc
      .array(fc.constantFrom(...parts), { maxLength: 4 })
      .map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(host, async (value) => {
        const request = `GET / HTTP/1.1\r\nHost: ${value}\r\nConnection: close\r\n\r\n`;
        const isInside = (await site.sendRaw(request)).endsWith('inside');
        expect(isInside).toBe(/^auth\.bank\.example(?::443)?$/i.test(value));
      }),
      { numRuns: 150 },
    );
  });
});

describe('Addresses on pages', () => {
  const addressish = fc
    .array(
      fc.constantFrom(
        'https:',
        'javascript:',
        'data:',
        '//',
        '/',
        '\\',
        'a.b',
        '\t',
        '\n',
        '@',
        ' ',
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join(''));

  it('are linked only if they open a site or an app, never a script', () => {
    fc.assert(
      fc.property(fc.oneof(addressish, anyText, fc.webUrl()), (text) => {
        const link = linkable(text);
        if (link === undefined) return;
        const { protocol } = new URL(link);
        expect(protocol).not.toMatch(/^(?:javascript|data|blob|file|vbscript|about):$/);
      }),
    );
  });

  it('are our own only if they stay on our origin', () => {
    fc.assert(
      fc.property(fc.oneof(addressish, anyText), (text) => {
        if (!isOwnPath(text)) return;
        expect(new URL(text, 'https://bank.example').origin).toBe('https://bank.example');
      }),
    );
  });
});

it('No token of a form is guessed, cut or moved to another form', () => {
  const csrf = createCsrf(Buffer.alloc(32, 7));
  fc.assert(
    fc.property(anyText, anyText, anyText, (binding, other, guess) => {
      const token = csrf.token(binding);
      expect(() => {
        csrf.verify(binding, token);
      }).not.toThrow();
      for (const wrong of [guess, token.slice(1), token.slice(0, -4), undefined, 5, [token]]) {
        expect(() => {
          csrf.verify(binding, wrong);
        }).toThrow(Problem);
      }
      if (other === binding) return;
      expect(() => {
        csrf.verify(other, token);
      }).toThrow(Problem);
    }),
  );
});

describe('Configuration', () => {
  it('of any text is taken or refused with words, and never half', () => {
    const variable = fc.constantFrom(
      ...['COUNTERSIGN_ISSUER', 'COUNTERSIGN_PORT', 'COUNTERSIGN_COOKIE_KEYS', 'COUNTERSIGN_ENV'],
      ...['COUNTERSIGN_OUTBOUND_ALLOW', 'COUNTERSIGN_ISSUER_FILE', 'COUNTERSIGN_DIGEST_KEY'],
      ...['COUNTERSIGN_ACCESS_TOKEN_TTL', 'COUNTERSIGN_DEFAULT_RESOURCE', '__proto__'],
    );
    fc.assert(
      fc.property(fc.dictionary(variable, fc.oneof(anyText, fc.webUrl())), (environment) => {
        const loaded = loadConfiguration(environment);
        const isWhole = loaded.ok
          ? Object.isFrozen(loaded.configuration)
          : loaded.problems.length > 0;
        expect(isWhole).toBe(true);
      }),
    );
  });

  it('in a file of any JSON is taken or refused with words', () => {
    const members = fc.constantFrom(
      'clients',
      'resourceServers',
      'metadata',
      'scopes',
      '__proto__',
    );
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue({ maxDepth: 2 }),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.oneof(members, anyText), tie('node'), { maxKeys: 3 }),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (value) => {
        expect(isRefusedOrDone(() => parseStaticConfiguration(value, 'test'))).toBe(true);
      }),
    );
  });
});

describe('Scope', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(() => server.stop());

  it('of any text gives what the client may have, or nothing', async () => {
    const words = [
      'accounts',
      'payments',
      'admin',
      'openid',
      ' ',
      '  ',
      '\t',
      '"',
      'ACCOUNTS',
      '+',
    ];
    const scope = fc.oneof(
      fc.array(fc.constantFrom(...words), { maxLength: 5 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 30 }),
    );
    const headers = basic('web', server.secrets.web);
    const fetcher = server.fetch();
    await fc.assert(
      fc.asyncProperty(scope, async (value) => {
        const form = { grant_type: 'client_credentials', scope: value.toWellFormed() };
        const { status, body } = await post(fetcher, `${server.issuer}/token`, { form, headers });
        const told = status === 200 ? (body['scope'] ?? '') : body['error'];
        const fitting = status === 200 ? ['', 'accounts'] : ['invalid_scope', 'invalid_request'];
        expect(fitting).toContain(told);
      }),
      { numRuns: 120 },
    );
  });
});

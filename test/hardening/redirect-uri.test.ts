import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { pageHeaders } from '../../src/http/headers.ts';
import { Problem } from '../../src/problem.ts';
import { issuedBy } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { openAuthorization } from '../support/journey.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const tricks = [
  'https://web.example.com\\@evil.example/callback',
  'https://web.example.com\\evil.example/callback',
  'https:\\\\evil.example/callback',
  'https:/evil.example/callback',
  'https:evil.example/callback',
  'https:///evil.example/callback',
  'https://user@web.example.com/callback',
  'https://user:password@web.example.com/callback',
  'https://@web.example.com/callback',
  'https://:@web.example.com/callback',
  'https://web.example.com%2f@evil.example/callback',
  'https://web.example.com%00.evil.example/callback',
  'https://%65vil.example/callback',
  'https://web.example.com/\tcallback',
  'https://web.example.com/call\nback',
  'https://web.example.com/callback\r\n',
  ' https://web.example.com/callback',
  'https://web.example.com/callback ',
  'https://web.example.com/callback#',
  'https://web.example.com/callback#x',
  'https://web.example.com/*',
  'https://*.example.com/callback',
  'https://web.example.com/a/../callback',
  'https://web.example.com/./callback',
  'https://web.example.com/%2e%2e/callback',
  'https://web.example.com/callback/..',
  'https://web.example.com/%zz',
  'https://web.example.com/%',
  'https://web.example.com/"><script>',
  'https://wéb.example.com/callback',
  'https://web。example.com/callback',
  'https://web.example.com:/callback',
  'https://web.example.com:99999/callback',
  'https://[::ffff:7f00:1%25eth0]/callback',
  'https://0x7f.1/callback',
  'https://127.1/callback',
  'https://2130706433/callback',
  'https://[0:0:0:0:0:0:0:1]/callback',
  'https://a_b.example.com/callback',
  'https://web.example.com./callback',
  '//web.example.com/callback',
  'web.example.com/callback',
  '/callback',
  '',
];
const nativeTricks = [
  'myapp:/callback',
  'http://localhost/callback',
  'http://10.0.0.1/callback',
  'http://127.0.0.1.evil.example/callback',
  'http://127.0.0.1@evil.example/callback',
  'http://127.1/callback',
  'http://0x7f000001/callback',
  'com.example.app:/a b',
  'com.example.app:/callback#x',
  'com.example.app://user@x/callback',
];

function register(uri: string, type: 'web' | 'native' = 'web') {
  return parseClientMetadata({
    client_id: 'x',
    application_type: type,
    redirect_uris: [uri],
    token_endpoint_auth_method: 'none',
  });
}

/** What the registration said of it; undefined when it was taken. */
function refusalOf(uri: string, type?: 'web' | 'native'): string | undefined {
  try {
    register(uri, type);
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

describe('A redirect URI that parsers read differently is not registered', () => {
  it.each(tricks)('%j', (uri) => {
    expect(refusalOf(uri)).toBe('client_invalid');
    expect(refusalOf(uri, 'native')).toBe('client_invalid');
  });

  it.each(nativeTricks)('%j, for an app', (uri) => {
    expect(refusalOf(uri, 'native')).toBe('client_invalid');
  });

  it.each([
    'https://web.example.com/callback',
    'https://web.example.com',
    'https://web.example.com:8443/a/b?x=1&y=%20',
    'https://WEB.example.com/Callback',
    'https://xn--wb-bja.example.com/.well-known/x',
    'https://192.0.2.1/..x/...',
  ])('but %j is', (uri) => {
    expect(refusalOf(uri)).toBeUndefined();
  });

  it.each(['http://127.0.0.1/callback', 'http://[::1]/callback', 'com.example.app:/callback'])(
    'but %j is, for an app',
    (uri) => {
      expect(refusalOf(uri, 'native')).toBeUndefined();
      expect(refusalOf(uri)).toBe('client_invalid');
    },
  );
});

const piece = fc.oneof(
  fc.constantFrom('https://', 'http://', 'web.example.com', '@', '\\', '/', '//', '..', ':', '%2e'),
  fc.constantFrom('#', '?', '*', '%', '\t', '\n', ' ', '[::1]', '127.0.0.1', ':443', 'com.x:', ';'),
  fc.webUrl(),
  fc.string({ maxLength: 5 }),
);

/** How a parser sees a URI that knows RFC 3986 Appendix B and nothing else. */
function simplyParsed(uri: string) {
  const [scheme = '', rest = ''] = uri.split(/:(.*)/s);
  const [hierarchy = '', search = ''] = rest.split(/\?(.*)/s);
  const query = search.replaceAll('%27', "'");
  const afterSlashes = hierarchy.startsWith('//') ? hierarchy.slice(2) : `/${hierarchy}`;
  const [authority = '', ...segments] = afterSlashes.split('/');
  const path = hierarchy.startsWith('//') ? `/${segments.join('/')}` : hierarchy || '/';
  const host = authority.toLowerCase().replace(/:(?:443|80)?$/, '');
  return { protocol: `${scheme.toLowerCase()}:`, host, path, query };
}

/** How a browser sees it, told in the same words. */
function seenByBrowsers(uri: string): ReturnType<typeof simplyParsed> {
  const { protocol, host, pathname, search } = new URL(uri);
  // The one letter that the URL standard encodes in a query and RFC 3986 does not.
  const query = search.slice(1).replaceAll('%27', "'");
  return {
    protocol,
    host: host.toLowerCase().replace(/:(?:443|80)$/, ''),
    path: pathname || '/',
    query,
  };
}

function policyWith(formAction: string): string {
  let policy = '';
  const response = { set: (name: string, value: string) => (policy += `${name}: ${value}\n`) };
  pageHeaders(response, { formActions: [formAction] });
  return policy;
}

it('Whatever is registered, a simple parser and a browser see the same host, path and scheme', () => {
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')),
      fc.constantFrom('web' as const, 'native' as const),
      (uri, type) => {
        if (refusalOf(uri, type) !== undefined) return;
        expect(seenByBrowsers(uri)).toEqual(simplyParsed(uri));
        // A page whose form ends there can say so in its policy, and nothing else with it.
        expect(policyWith(uri).split(';')).toHaveLength(7);
      },
    ),
    { numRuns: 3000 },
  );
});

describe('At the server', () => {
  let server: AuthorizationServer;

  beforeAll(async () => {
    server = await startAuthorizationServer();
  });

  afterAll(() => server.stop());

  it('no variant of a registered redirect URI is answered at, and nobody is sent there', async () => {
    const attack = async () => {
      for (const redirect_uri of tricks) {
        const page = await openAuthorization(
          server,
          {
            client_id: 'web',
            redirect_uri,
            response_type: 'code',
            scope: 'accounts',
            prompt: 'none',
            code_challenge: 'a'.repeat(43),
            code_challenge_method: 'S256',
          },
          createCustomerAgent(server),
        );
        expect([page.status, new URL(page.url).origin]).toEqual([400, server.issuer]);
        expect(page.html).not.toContain('evil.example');
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

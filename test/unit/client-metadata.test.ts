import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { Problem } from '../../src/problem.ts';

const web = { client_id: 'web', redirect_uris: ['https://a.test/callback'] };

function faultsOf(metadata: unknown): string {
  try {
    parseClientMetadata(metadata);
    return '';
  } catch (error) {
    if (error instanceof Problem && error.code === 'client_invalid') return error.detail ?? '';
    throw error;
  }
}

const accepts = (metadata: unknown) => faultsOf(metadata) === '';

describe('Client metadata', () => {
  it('is completed by its defaults', () => {
    expect(parseClientMetadata(web)).toMatchObject({
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    });
  });

  it('with a certificate means tokens bound to it, whatever it says', () => {
    const metadata = {
      ...web,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=a',
      tls_client_certificate_bound_access_tokens: false,
    };
    expect(parseClientMetadata(metadata).tls_client_certificate_bound_access_tokens).toBe(true);
  });

  it('names every fault at once', () => {
    const faults = faultsOf({
      client_id: 'x',
      redirect_uris: ['http://a.test/', 'https://a.test/#x'],
      grant_types: ['authorization_code', 'implicit', 'client_credentials'],
      response_types: ['token'],
      token_endpoint_auth_method: 'none',
    });
    for (const part of ['not https', 'fragment', 'implicit', 'response type', 'authenticates']) {
      expect(faults).toContain(part);
    }
  });

  it.each([
    ['a member that we don’t know', { ...web, nonsense: true }],
    ['a secret', { ...web, client_secret: 'x' }],
    ['an id with a space', { ...web, client_id: 'a b' }],
    ['an id in the form of a customer’s', { ...web, client_id: crypto.randomUUID() }],
    ['no redirect URI for codes', { client_id: 'x', redirect_uris: [] }],
    ['two subjects', certificate({ tls_client_auth_san_dns: 'a', tls_client_auth_san_uri: 'b:' })],
    ['no subject', certificate({})],
    ['a key method without keys', { ...web, token_endpoint_auth_method: 'private_key_jwt' }],
    ['an HS256 key', { ...web, token_endpoint_auth_signing_alg: 'HS256' }],
    ['key URIs in plain http', { ...web, jwks_uri: 'http://a.test/jwks' }],
  ])('with %s is refused', (_name, metadata) => {
    expect(accepts(web)).toBe(true);
    expect(accepts(metadata)).toBe(false);
  });

  function certificate(subject: Record<string, string>) {
    return { ...web, token_endpoint_auth_method: 'tls_client_auth', ...subject };
  }
});

describe('The name of a client', () => {
  const takes = (client_name: string) => accepts({ ...web, client_name });

  it.each([
    'Bank',
    'Ünï-Bänk 24',
    'بنك',
    'می\u200cخواهم', // Persian joins "می" and "خواهم" by a ZWNJ
    'क्\u200dष', // Devanagari's half form needs the ZWJ
    '銀行',
    '\u{1F469}\u200d\u{1F4BB} Pay',
    'I \u2764\ufe0f 2 Pay',
  ])('may be %s', (name) => {
    expect(takes(name)).toBe(true);
  });

  it.each([
    ['empty', ''],
    ['white space', ' \u00a0\u3000'],
    ['punctuation', '...'],
    ['a zero-width space', '\u200b'],
    ['a zero-width space in a word', 'Ba\u200bnk'],
    ['a byte order mark', '\ufeffBank'],
    ['a Hangul filler', '\u3164'],
    ['a Hangul filler beside a word', 'Bank\u3164'],
    ['a halfwidth filler', '\uffa0'],
    ['a soft hyphen', 'Ba\u00adnk'],
    ['a bidi override', 'Bank \u202egpj'],
    ['a bidi isolate', 'Bank \u2066x\u2069'],
    ['a mark of direction', 'Bank\u200f'],
    ['a tag', 'Bank\u{e0041}'],
    ['a line feed', 'Bank\nis safe'],
    ['a line separator', 'Bank\u2028is safe'],
    ['U+0000', 'Bank\0'],
    ['a lone surrogate', 'Bank\ud800'],
    ['a joiner at its end', 'Bank\u200d'],
    ['a joiner at its beginning', '\u200cBank'],
    ['joiners in a row', 'Ba\u200c\u200dnk'],
    ['a variation selector alone', ' \ufe0fBank'],
    ['a joiner in a word that needs none', 'Ba\u200cnk'],
    ['a variation selector in a word', 'Ba\ufe0fnk'],
    ['a private-use character', 'Bank\ue000'],
  ])('is never %s', (_what, name) => {
    expect(takes(name)).toBe(false);
  });
});

describe('A redirect URI', () => {
  const takes = (application_type: 'web' | 'native', uri: string) =>
    accepts({ client_id: 'x', application_type, redirect_uris: [uri] });

  it.each(['https://a.test', 'https://a.test:8443/cb?x=1', 'https://127.0.0.1/'])(
    'of a web client may be %s',
    (uri) => {
      expect([takes('web', uri), takes('native', uri)]).toEqual([true, true]);
    },
  );

  it.each(['http://127.0.0.1/cb', 'http://[::1]:1234/cb', 'com.example.app:/cb'])(
    'of a native client only may be %s',
    (uri) => {
      expect([takes('web', uri), takes('native', uri)]).toEqual([false, true]);
    },
  );

  it.each([
    'http://a.test/',
    'http://localhost/cb',
    'http://127.0.0.1.evil.test/',
    'https://u:p@a.test/',
    'https://*.a.test/',
    'https://a.test/#',
    'javascript:alert(1)',
    'data:text/html,x',
    'app:/cb',
    '/callback',
    '',
  ])('is never %j', (uri) => {
    expect([takes('web', uri), takes('native', uri)]).toEqual([false, false]);
  });

  it('of a web client is https, without user, wildcard, dot segment and fragment, for any URL', () => {
    fc.assert(
      fc.property(
        fc.webUrl({
          withFragments: true,
          withQueryParameters: true,
          validSchemes: ['http', 'https'],
        }),
        (uri) => {
          const isPlain = !/[#*]|\/(?:\.|%2e){1,2}(?=[/?]|$)/i.test(uri);
          const clean = uri.startsWith('https:') && isPlain && new URL(uri).username === '';
          expect(takes('web', uri)).toBe(clean);
        },
      ),
    );
  });

  it('never breaks the check, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (uri) => {
        expect(typeof takes('native', uri)).toBe('boolean');
      }),
    );
  });
});

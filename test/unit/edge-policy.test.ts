import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEdgePolicy } from '../../src/config/edge-policy.ts';
import { readPath } from '../../src/edge/canonical-path.ts';
import { lookAlike, identityHeaders } from '../../src/edge/identity-headers.ts';
import { overridingHeader, readOriginal } from '../../src/edge/original-request.ts';
import { createRouteFinder } from '../../src/edge/route-policy.ts';
import type { EdgeRoute } from '../../src/edge/route-policy.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

describe('A path', () => {
  it.each([
    '/',
    '/accounts',
    '/accounts/',
    '/a/b-c_d~e.f',
    '/a/%20b',
    '/caf%C3%A9',
    '/a%40b,c:d',
    '/%EF%AC%81',
  ])('that has one reading is taken: %s', (target) => {
    expect(readPath(target)).toEqual({ path: target });
    expect(readPath(`${target}?a=//..;%2e#`)).toEqual({ path: target });
  });

  it.each([
    ...['', 'accounts', '*', 'https://api.bank.example/accounts', '//', '//accounts', '/a//b'],
    ...['/.', '/..', '/a/../b', '/a/./b', '/a/..', '/...', '/%2e%2e/a', '/%2E', '/a%2f..%2fb'],
    ...['/a%2Fb', '/a%5cb', '/a\\b', '/a;b', '/a;jsessionid=1/b', '/a%3bb', '/%252e', '/a%25b'],
    ...['/a%00', '/a%0a', '/a%7f', '/a%', '/a%2', '/a%zz', '/%41ccounts', '/%61', '/a%2Db', '/%5f'],
    ...['/a%3fb', '/a%23b', '/a#b', '/a b', '/a\tb', '/caf\u00e9', '/%ff', '/%c0%ae', '/%C3'],
    ...[
      '/a%EF%BC%8Fb',
      '/%EF%BC%8E%EF%BC%8E/a',
      '/%E2%80%A6',
      '/a%EF%BC%9Bb',
      '/%E2%84%85',
      '/a%C2%85',
    ],
    ...['/.%E2%80%8B./a', '/a%EF%BB%BF', '/a%C2%ADb', '/%F3%A0%80%81'],
    ...['/a"b', '/<a>', '/a|b', '/a^b', '/{a}', '/[a]', '/a`b', `/${'a'.repeat(2048)}`],
  ])('that has several is refused: %s', (target) => {
    expect(readPath(target)).toHaveProperty('fault');
  });

  it('that is taken means the same to who normalises, decodes, or does neither', () => {
    const letters = Array.from({ length: 95 }, (_, at) => String.fromCharCode(at + 32));
    const encoded = ['%2e', '%2f', '%C3%A9', '%EF%BC%8F', '%E2%80%A5', '%E2%80%8B', '%EF%AC%81'];
    const piece = fc.constantFrom(...letters, ...encoded, '..', '//');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const target = `/${pieces.join('')}`;
        const reading = readPath(target);
        if ('fault' in reading) return;
        const { path: taken } = reading;
        expect(new URL(taken, 'https://api.example').pathname).toBe(taken);
        expect(path.posix.normalize(taken)).toBe(taken);
        const decoded = decodeURIComponent(taken);
        expect(decoded.split('/').length).toBe(taken.split('/').length);
        expect(path.posix.normalize(decoded)).toBe(decoded);
        expect(decoded).not.toContain('%');
        const folded = decoded.normalize('NFKC');
        expect(path.posix.normalize(folded)).toBe(folded);
        expect(folded.split('/').length).toBe(taken.split('/').length);
      }),
      { numRuns: 2000 },
    );
  });
});

const route = (given: Partial<EdgeRoute> & { path: string }): EdgeRoute => ({
  methods: ['GET'],
  resourceServer: 'https://api.bank.example',
  scopes: [],
  credentials: ['token'],
  unboundTokens: 'refuse',
  acr: undefined,
  maxAgeSeconds: undefined,
  ...given,
});

describe('A route', () => {
  const find = createRouteFinder({
    routes: [
      route({ path: '/accounts/*/balances' }),
      route({ path: '/accounts' }),
      route({ path: '/payments', methods: ['POST'] }),
      route({ path: '/files/**', methods: ['GET', 'PUT'] }),
      route({ path: '/' }),
      route({ path: '/open/*/**', methods: ['DELETE'] }),
    ],
  });
  const patternOf = (method: string, target: string) => {
    const found = find(method, target);
    return 'route' in found ? found.route.path : undefined;
  };

  it.each([
    ['GET', '/accounts', '/accounts'],
    ['HEAD', '/accounts', '/accounts'],
    ['GET', '/accounts/1/balances', '/accounts/*/balances'],
    ['GET', '/accounts/%C3%A9/balances', '/accounts/*/balances'],
    ['POST', '/payments', '/payments'],
    ['PUT', '/files', '/files/**'],
    ['PUT', '/files/', '/files/**'],
    ['GET', '/files/a/b', '/files/**'],
    ['GET', '/', '/'],
    ['DELETE', '/open/a/b/c', '/open/*/**'],
    ['DELETE', '/open/a', '/open/*/**'],
  ])('is found: %s %s', (method, target, pattern) => {
    expect(patternOf(method, target)).toBe(pattern);
  });

  it.each([
    ['POST', '/accounts'],
    ['HEAD', '/payments'],
    ['GET', '/payments'],
    ['OPTIONS', '/accounts'],
    ['GET', '/accounts/1'],
    ['GET', '/accounts/1/balances/2'],
    ['GET', '/accounts/1/'],
    ['GET', '/account'],
    ['GET', '/accountsx'],
    ['GET', '/accounts/'],
    ['GET', '/Accounts'],
    ['GET', '/accounts/1/Balances'],
    ['PUT', '/FILES/a'],
    ['DELETE', '/open'],
    ['DELETE', '/open/'],
    ['GET', '/unknown'],
  ])('is not found: %s %s', (method, target) => {
    expect(patternOf(method, target)).toBeUndefined();
  });

  it('is not the wider one for a path that only looks different', () => {
    const routes = [route({ path: '/admin' }), route({ path: '/**' })];
    const wide = createRouteFinder({ routes });
    const others = ['/adm%C4%B1n', '/%EF%BD%81dmin', '/admin.', '/admin%20', '/admin::$DATA'];
    const blank = [
      '/%20admin',
      '/%C2%A0admin',
      '/admin%E2%80%A8',
      '/admin%E1%9A%80',
      '/adm%C4%B0n',
    ];
    for (const target of ['/ADMIN', '/Admin', '/admin/', ...others, ...blank]) {
      expect([target, wide('GET', target)]).toEqual([
        target,
        { fault: expect.any(String) as string },
      ]);
    }
    expect(wide('GET', '/administration')).toEqual({ route: routes[1] });
    const access = createRouteFinder({
      routes: [route({ path: '/access' }), route({ path: '/**' })],
    });
    for (const target of ['/acce%E1%BA%9E', '/acce%C3%9F']) {
      expect(access('GET', target)).toHaveProperty('fault');
    }
  });

  it('is not the wider one for another method, but one of the same path is', () => {
    const methods = ['POST'];
    const routes = [
      ...[route({ path: '/admin' }), route({ path: '/**', methods: ['GET', 'POST', 'DELETE'] })],
      route({ path: '/admin', methods }),
    ];
    const wide = createRouteFinder({ routes });
    expect(wide('POST', '/admin')).toEqual({ route: routes[2] });
    expect(wide('DELETE', '/admin')).toEqual({ fault: expect.any(String) as string });
  });
});

describe('The original request', () => {
  const asked = (headers: Record<string, string[]>, url = '/edge/verify', method = 'GET') => ({
    method,
    url,
    header: (name: string) => headers[name] ?? [],
  });
  const nginx = { 'x-original-method': ['POST'], 'x-original-uri': ['/payments?x=1'] };
  const traefik = { 'x-forwarded-method': ['POST'], 'x-forwarded-uri': ['/payments?x=1'] };
  const original = { method: 'POST', target: '/payments?x=1' };

  it('is told in another way by each kind of proxy', () => {
    expect(readOriginal('nginx', asked(nginx))).toEqual(original);
    expect(readOriginal('traefik', asked(traefik))).toEqual(original);
    expect(readOriginal('envoy', asked({}, '/edge/verify/payments?x=1', 'POST'))).toEqual(original);
  });

  it('is not what another kind, or the caller, says', () => {
    expect(readOriginal('nginx', asked(traefik))).toBeUndefined();
    expect(readOriginal('traefik', asked(nginx))).toBeUndefined();
    const both = { ...nginx, 'x-forwarded-method': ['GET'], 'x-forwarded-uri': ['/public'] };
    expect(readOriginal('nginx', asked(both))).toEqual(original);
    const envoy = asked({ ...nginx, ...traefik }, '/edge/verify/x');
    expect(readOriginal('envoy', envoy)).toEqual({ method: 'GET', target: '/x' });
    expect(readOriginal('envoy', asked(nginx))).toBeUndefined();
  });

  it.each<[string, Record<string, string[]>]>([
    ['two methods', { ...nginx, 'x-original-method': ['POST', 'GET'] }],
    ['two targets', { ...nginx, 'x-original-uri': ['/payments', '/'] }],
    ['no method', { 'x-original-uri': ['/payments'] }],
    ['no target', { 'x-original-method': ['GET'] }],
    ['a method in small letters', { ...nginx, 'x-original-method': ['post'] }],
    ['methods in one line', { ...nginx, 'x-original-method': ['POST, GET'] }],
    ['a whole address', { ...nginx, 'x-original-uri': ['https://api.example/payments'] }],
  ])('is none with %s', (_name, headers) => {
    expect(readOriginal('nginx', asked(headers))).toBeUndefined();
  });

  it('is not changed by headers that some servers obey', () => {
    const others = [...Object.keys(nginx), ...Object.keys(traefik)];
    expect(overridingHeader(others)).toBeUndefined();
    for (const name of [
      ...['x-http-method-override', 'x-original-url', 'X-Forwarded-Prefix'],
      ...['X-Rewrite-URL', 'X-Override-URL', 'x-request-uri', 'X-HTTP-Path-Override'],
    ]) {
      expect(overridingHeader([...others, name])).toBe(name);
    }
    const misspelt = ['X_Original_URI', 'x_http-method_override', 'x-forwarded_method'];
    for (const name of [...misspelt, 'X_Override_URL', 'x-request_uri', 'X.HTTP.Path.Override']) {
      expect(overridingHeader([...others, name])).toBe(name);
    }
  });
});

describe('Identity headers', () => {
  it('say who it is, and which of them have nothing to say', () => {
    const identity = {
      ...{ customerId: 'casey', clientId: 'tpp', scopes: ['a', 'b'], consentId: undefined },
      ...{ expiresAt: 1_700_000_000, apiKeyId: undefined },
    };
    expect(identityHeaders(identity)).toEqual({
      headers: {
        ...{ 'X-User-ID': 'casey', 'X-Client-ID': 'tpp', 'X-Scopes': 'a b' },
        'X-Token-Expires': '1700000000',
      },
      absent: ['x-consent-id', 'x-api-key-id'],
    });
  });

  it('are not to be written with underscores by a caller', () => {
    for (const name of ['X_User_ID', 'x-user_id', 'x_request_id', 'X_API-KEY_ID']) {
      expect(lookAlike(['accept', name])).toBe(name);
    }
    expect(lookAlike(['x-user-id', 'x_other', 'accept'])).toBeUndefined();
  });
});

describe('A policy file', () => {
  let folder: TemporaryDirectory;
  beforeAll(async () => {
    folder = await temporaryDirectory();
  });
  afterAll(() => folder.remove());

  const usual = { path: '/a', methods: ['GET'], resourceServer: 'https://api.example', scopes: [] };

  async function read(text: string) {
    const file = path.join(folder.path, 'edge.json');
    await writeFile(file, text);
    return readEdgePolicy(file);
  }
  const withRoute = (more: object) =>
    read(JSON.stringify({ proxy: 'nginx', routes: [{ ...usual, ...more }] }));

  it('needs little', async () => {
    expect(await withRoute({})).toEqual({
      ...{ proxy: 'nginx', origins: [] },
      routes: [{ ...usual, credentials: ['token'], unboundTokens: 'refuse' }],
    });
  });

  it.each(['/', '/**', '/a/*', '/a/*/b/**', '/a.b/c-d'])('takes the path %s', async (one) => {
    expect((await withRoute({ path: one })).routes[0]?.path).toBe(one);
  });

  it.each<[string, object]>([
    ['an unknown member', { scope: 'accounts' }],
    ['no scopes', { scopes: undefined }],
    ['no methods', { methods: [] }],
    ['a method in small letters', { methods: ['get'] }],
    ['no credentials', { credentials: [] }],
    ['an unknown credential', { credentials: ['password'] }],
    ['a resource server that is no URL', { resourceServer: 'accounts' }],
    ['a path without a slash', { path: 'a' }],
    ['a path that ends with one', { path: '/a/' }],
    ['an encoded path', { path: '/a%20b' }],
    ['a path with two slashes', { path: '/a//b' }],
    ['a path with dots', { path: '/a/../b' }],
    ['** in the middle', { path: '/a/**/b' }],
    ['* in a segment', { path: '/a*' }],
    ['an empty acr', { acr: [] }],
    ['a negative age', { maxAgeSeconds: -1 }],
  ])('is refused with %s', async (_name, more) => {
    await expect(withRoute(more)).rejects.toThrow('configuration is not valid');
  });

  it.each([
    ['no JSON', '{'],
    ['no routes', '{"proxy":"nginx","routes":[]}'],
    ['no proxy', JSON.stringify({ routes: [usual] })],
    ['an unknown proxy', JSON.stringify({ proxy: 'kong', routes: [usual] })],
    ['an unknown member', JSON.stringify({ proxy: 'nginx', routes: [usual], default: 'allow' })],
    [
      'an origin with a path',
      JSON.stringify({ proxy: 'nginx', origins: ['https://a.example/'], routes: [usual] }),
    ],
  ])('is refused with %s', async (_name, text) => {
    await expect(read(text)).rejects.toThrow('edge.json');
  });
});

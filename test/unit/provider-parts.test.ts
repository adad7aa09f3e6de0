import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeShares } from '../../src/provider/merge-shares.ts';
import { isAlmostEndpoint, routes } from '../../src/provider/routes.ts';
import { checkResourceServer } from '../../src/resource-servers/resource-server.ts';
import type { ResourceServer } from '../../src/resource-servers/resource-server.ts';

describe('Shares of the configuration', () => {
  it('become one, features by member', () => {
    const merged = mergeShares([
      { scopes: ['openid'], features: { dPoP: { enabled: false } } },
      { features: { userinfo: { enabled: true } } },
    ]);
    expect(merged).toEqual({
      scopes: ['openid'],
      features: { dPoP: { enabled: false }, userinfo: { enabled: true } },
    });
  });

  it('that set the same thing are a mistake, and said so', () => {
    expect(() => mergeShares([{ scopes: [] }, { scopes: [] }])).toThrow('scopes');
    const feature = { features: { dPoP: { enabled: false } } };
    expect(() => mergeShares([feature, feature])).toThrow('dPoP');
  });
});

describe('A path', () => {
  it('is almost an endpoint when only letters or slashes differ, and never when it is one', () => {
    const paths = [...Object.values(routes), '/.well-known/openid-configuration'];
    for (const path of paths) {
      expect([path, isAlmostEndpoint(path)]).toEqual([path, false]);
      for (const other of [path.toUpperCase(), `${path}/`, `${path}//`]) {
        expect([other, isAlmostEndpoint(other)]).toEqual([other, true]);
      }
    }
    fc.assert(
      fc.property(fc.webPath(), (path) => {
        expect(!isAlmostEndpoint(path) || /[A-Z]|\/$/.test(path)).toBe(true);
      }),
    );
  });
});

describe('A resource server', () => {
  const good: ResourceServer = {
    identifier: 'https://api.test/v1',
    name: 'API',
    accessTokenFormat: 'jwt',
    accessTokenTtlSeconds: 600,
    signingAlgorithm: 'RS256',
    introspectionClientId: undefined,
    source: 'operator',
    scopes: { 'accounts:read': { en: 'See' } },
  };

  it('that is in order is taken as it is', () => {
    expect(checkResourceServer(good)).toEqual(good);
  });

  it.each([
    [{ identifier: 'api' }, 'not an absolute URI'],
    [{ identifier: 'https://api.test/#x' }, 'fragment'],
    [{ accessTokenTtlSeconds: 59 }, '60 to 900'],
    [{ accessTokenTtlSeconds: 901 }, '60 to 900'],
    [{ scopes: { 'a b': {} } }, 'malformed'],
    [{ scopes: { openid: {} } }, 'belongs to OpenID'],
  ])('with %j is refused', (change, reason) => {
    expect(() => checkResourceServer({ ...good, ...change })).toThrow(reason);
  });
});

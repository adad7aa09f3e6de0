import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { issuedBy } from '../support/attack.ts';
import { forgeries, signedWith } from '../support/forged-jwt.ts';
import type { TrustedKey } from '../support/forged-jwt.ts';
import { postForm } from '../support/journey.ts';
import { startLure } from '../support/lure.ts';
import type { Lure } from '../support/lure.ts';
import { asserted } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const robotKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const robot: TrustedKey = {
  jwk: { ...robotKey.privateKey.export({ format: 'jwk' }), kid: 'robot-1' },
  alg: 'ES256',
};
let attacker: Lure;
let lure = '';
let server: AuthorizationServer;

beforeAll(async () => {
  attacker = await startLure();
  lure = attacker.url;
  const { kty = '', crv = '', x = '', y = '' } = robot.jwk;
  server = await startAuthorizationServer({
    environment: attacker.environment,
    clients: [
      {
        metadata: {
          client_id: 'robot',
          grant_types: ['client_credentials'],
          redirect_uris: [],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ kty, crv, x, y, kid: 'robot-1' }] },
        },
        permissions: { [accountsApi]: ['accounts'] },
      },
    ],
  });
});

afterEach(() => {
  // Whatever a header says: its address was not asked for a key.
  if (attacker.visits() > 0) throw new Error('the server went where a header led it');
});

afterAll(async () => {
  await server.stop();
  await attacker.close();
});

function assertionClaims(more: Record<string, unknown> = {}) {
  const now = epochSeconds(systemClock);
  const own = { iss: 'robot', sub: 'robot', aud: server.issuer, jti: randomUUID() };
  return { ...own, iat: now, exp: now + 60, ...more };
}

describe('A forged client assertion', () => {
  it('is refused at every endpoint that takes one', async () => {
    const forged = forgeries(robot, { header: { typ: 'JWT' }, payload: assertionClaims() }, lure);
    const attack = async () => {
      for (const [name, jwt] of Object.entries(forged)) {
        for (const path of ['/token', '/introspect', '/revoke']) {
          const parameters = {
            grant_type: 'client_credentials',
            token: 'x',
            client_id: 'robot',
            ...asserted(jwt),
          };
          const { status, body } = await postForm(server, path, { parameters });
          expect([400, 401], `${name} at ${path}`).toContain(status);
          expect(body['error'], `${name} at ${path}`).toMatch(/^invalid_(?:client|request)$/);
        }
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
    const right = signedWith(robot, { header: {}, payload: assertionClaims() });
    const parameters = { grant_type: 'client_credentials', ...asserted(right) };
    expect((await postForm(server, '/token', { parameters })).status).toBe(200);
  });

  it.each([
    ['sub', 5],
    ['sub', ['robot']],
    ['sub', { robot: 1 }],
    ['sub', true],
    ['sub', null],
    ['iss', ['robot']],
    ['jti', 5],
    ['jti', { x: 1 }],
    ['jti', ''],
    ['jti', null],
    ['exp', '9999999999'],
    ['exp', 1e300],
    ['exp', -1],
    ['exp', null],
    ['iat', 'x'],
    ['nbf', 9_999_999_999],
    ['nbf', {}],
    ['aud', null],
    ['aud', 5],
    ['aud', [[]]],
    ['aud', 'https://evil.example'],
  ])('or one whose %s is %j is refused, and no fault of ours', async (name, value) => {
    const attack = async () => {
      const payload = assertionClaims({ [name]: value });
      for (const jwt of [
        signedWith(robot, { header: {}, payload }),
        forgeries(robot, { header: {}, payload }, lure)['alg "none"'] ?? '',
      ]) {
        const parameters = { grant_type: 'client_credentials', ...asserted(jwt) };
        const { status, body } = await postForm(server, '/token', { parameters });
        expect([status, body['error']]).toEqual([
          expect.toBeOneOf([400, 401]),
          expect.stringMatching(/^invalid_(?:client|request)$/),
        ]);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

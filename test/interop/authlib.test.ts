import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { obtainTokens } from '../support/journey.ts';
import { discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';
import { machineToken, resigned, tampered } from './support/access-tokens.ts';
import { runCommand } from './support/command.ts';
import { newClientKey } from './support/keys.ts';
import type { ClientKey } from './support/keys.ts';

const script = fileURLToPath(new URL('support/authlib-peer.py', import.meta.url));
const algorithms = ['RS256', 'PS256', 'ES256'] as const;
const redirectUri = 'https://python.example.com/callback';
const scope = 'openid accounts';

let server: AuthorizationServer;
let directory: TemporaryDirectory;
let keys: Record<'RS256' | 'ES256', ClientKey>;
let strangersKey: ClientKey;

beforeAll(async () => {
  keys = {
    RS256: await newClientKey('python-rsa', 'RS256'),
    ES256: await newClientKey('python-ec', 'ES256'),
  };
  strangersKey = await newClientKey('stranger', 'ES256');
  server = await startAuthorizationServer({
    algorithms: ['PS256', 'ES256'],
    clients: [
      ...algorithms.map((alg) =>
        registration(`reads-${alg}`, {
          token_endpoint_auth_method: 'none',
          id_token_signed_response_alg: alg,
        }),
      ),
      registration('python', {
        grant_types: ['authorization_code', 'client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [keys.RS256.publicJwk, keys.ES256.publicJwk] },
      }),
    ],
  });
  directory = await temporaryDirectory();
  await writeFile(caFile(), server.certificates.authority.certificatePem);
});

afterAll(async () => {
  await directory.remove();
  await server.stop();
});

const caFile = () => path.join(directory.path, 'ca.crt');

function registration(id: string, more: Record<string, unknown>) {
  return {
    metadata: {
      client_id: id,
      client_name: 'Python',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code'],
      ...more,
    },
    permissions: { [accountsApi]: ['accounts'] },
  };
}

interface Reply {
  result?: Record<string, unknown>;
  refused?: string;
}

async function authlib(action: string, order: Record<string, unknown>): Promise<Reply> {
  const input = JSON.stringify({ action, issuer: server.issuer, ca: caFile(), ...order });
  const { code, stdout, stderr } = await runCommand('/usr/bin/python3', [script], { input });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Reply;
}

async function idToken(alg: (typeof algorithms)[number]) {
  const clientId = `reads-${alg}`;
  const client = await discover(server, { id: clientId, authentication: openid.None() });
  const parameters = { redirect_uri: redirectUri, scope };
  const { id_token: token = '' } = await obtainTokens(server, client, { parameters });
  expect(decodeProtectedHeader(token).alg).toBe(alg);
  return { token, client_id: clientId, algorithms: [alg] };
}

describe('Python Authlib', () => {
  it.each(algorithms)(
    'verifies an ID token signed with %s, and refuses it changed',
    async (alg) => {
      const order = await idToken(alg);
      const { result } = await authlib('verify_id_token', order);
      expect(result).toMatchObject({ iss: server.issuer, sub: server.customer.id });
      const changed = { ...order, token: tampered(order.token, { sub: 'somebody-else' }) };
      expect(await authlib('verify_id_token', changed)).toEqual({ refused: 'bad_signature' });
      const another = { ...order, client_id: 'another' };
      expect(await authlib('verify_id_token', another)).toEqual({ refused: 'invalid_claim' });
    },
  );

  it('verifies an access token, and refuses it expired, elsewhere or by another algorithm', async () => {
    const token = await machineToken(server, 'tpp');
    const { iat = 0 } = decodeJwt(token);
    const order = { token, audience: accountsApi, algorithms: ['RS256'] };
    const check = (change: Record<string, unknown>) =>
      authlib('verify_access_token', { ...order, ...change });
    expect((await check({})).result).toMatchObject({ client_id: 'tpp', scope: 'accounts' });
    const expired = await resigned(server, token, { exp: iat - 60 });
    expect(await check({ token: expired })).toEqual({ refused: 'expired_token' });
    const elsewhere = { audience: 'https://elsewhere.example.com' };
    expect(await check(elsewhere)).toEqual({ refused: 'invalid_claim' });
    expect(await check({ algorithms: ['ES256'] })).toHaveProperty('refused');
  });

  it.each(['RS256', 'ES256'] as const)(
    'gets a token by an assertion signed with %s',
    async (alg) => {
      const order = { client_id: 'python', key: keys[alg].privatePem, alg, scope: 'accounts' };
      const { result } = await authlib('client_credentials', order);
      expect(result).toMatchObject({ token_type: 'Bearer', scope: 'accounts' });
      const stranger = { ...order, key: strangersKey.privatePem, alg: 'ES256' };
      expect(await authlib('client_credentials', stranger)).toEqual({ refused: 'invalid_client' });
    },
  );

  it("gets a customer's token by code and PKCE", async () => {
    const order = {
      client_id: 'python',
      key: keys.RS256.privatePem,
      alg: 'RS256',
      scope,
      redirect_uri: redirectUri,
      code_verifier: openid.randomPKCECodeVerifier(),
    };
    const { result: request } = await authlib('authorization_url', order);
    const callback = await createCustomerAgent(server).authorize(String(request?.['url']));
    const { result: tokens } = await authlib('exchange', {
      ...order,
      callback: callback.href,
      state: request?.['state'],
    });
    expect(decodeJwt(String(tokens?.['access_token']))).toMatchObject({
      sub: server.customer.id,
      client_id: 'python',
    });
    const other = { ...order, callback: callback.href, state: 'another' };
    expect(await authlib('exchange', other)).toEqual({ refused: 'mismatching_state' });
  });
});

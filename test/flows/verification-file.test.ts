import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { redirectUriOf } from '../support/fapi.ts';
import { discover } from '../support/openid.ts';
import { accountsApi } from '../support/server.ts';
import { verificationSuite } from '../support/verification-suite.ts';
import type { VerificationSuite } from '../support/verification-suite.ts';

const timeoutMs = 60_000;

let suite: VerificationSuite;

beforeAll(async () => {
  suite = await verificationSuite();
}, timeoutMs);

afterAll(() => suite.remove());

type Running = Awaited<ReturnType<VerificationSuite['start']>>;

async function parametersOf(redirect_uri: string) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedState = openid.randomState();
  const expectedNonce = openid.randomNonce();
  const parameters = {
    redirect_uri,
    scope: 'openid profile accounts',
    resource: accountsApi,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  };
  return { parameters, checks: { pkceCodeVerifier, expectedState, expectedNonce } };
}

describe('A server with a verification file', () => {
  let running: Running;

  beforeAll(async () => {
    running = await suite.start();
  }, timeoutMs);

  afterAll(() => running.stop());

  const authorize = (url: URL) => createCustomerAgent(running.server).authorize(url.href);

  const resource = (configuration: openid.Configuration, token: string, DPoP?: openid.DPoPHandle) =>
    openid.fetchProtectedResource(
      configuration,
      token,
      new URL(`${suite.mtlsOrigin}/development/resource/accounts`),
      'GET',
      undefined,
      undefined,
      DPoP === undefined ? {} : { DPoP },
    );

  it('serves code and PKCE to a client with the secret of the file', async () => {
    const configuration = await discover(running.server, {
      id: 'suite-basic',
      authentication: openid.ClientSecretBasic(suite.secret),
    });
    const { parameters, checks } = await parametersOf('https://suite.example.com/callback');
    const url = openid.buildAuthorizationUrl(configuration, parameters);
    const tokens = await openid.authorizationCodeGrant(configuration, await authorize(url), checks);
    const { sub = '' } = tokens.claims() ?? {};
    const userinfo = await openid.fetchUserInfo(configuration, tokens.access_token, sub);
    expect(userinfo).toMatchObject({ sub, name: 'Sue', preferred_username: 'suite-user' });
    expect((await resource(configuration, tokens.access_token)).status).toBe(200);
  });

  it('serves FAPI 2.0 with pushed requests and mTLS, by the authority of the file', async () => {
    const configuration = await discover(running.server, {
      id: 'suite-mtls',
      authentication: openid.TlsClientAuth(),
      certificate: suite.certificate,
    });
    const { parameters, checks } = await parametersOf(redirectUriOf('suite-mtls'));
    const url = await openid.buildAuthorizationUrlWithPAR(configuration, parameters);
    const tokens = await openid.authorizationCodeGrant(configuration, await authorize(url), checks);
    expect(decodeJwt(tokens.access_token)).toHaveProperty('cnf.x5t#S256');
    expect((await resource(configuration, tokens.access_token)).status).toBe(200);
    const bare = await running.server.fetch()(`${suite.mtlsOrigin}/development/resource`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    expect(bare.status).toBe(401);
  });

  it('serves FAPI 2.0 with private_key_jwt and DPoP', async () => {
    const configuration = await discover(running.server, {
      id: 'suite-dpop',
      authentication: openid.PrivateKeyJwt({ key: suite.key.privateKey, kid: suite.key.kid }),
    });
    const DPoP = openid.getDPoPHandle(configuration, await openid.randomDPoPKeyPair('ES256'));
    const { parameters, checks } = await parametersOf(redirectUriOf('suite-dpop'));
    const url = await openid.buildAuthorizationUrlWithPAR(configuration, parameters, { DPoP });
    const callback = await authorize(url);
    const tokens = await openid.authorizationCodeGrant(configuration, callback, checks, undefined, {
      DPoP,
    });
    expect(tokens.token_type).toBe('dpop');
    expect((await resource(configuration, tokens.access_token, DPoP)).status).toBe(200);
  });

  it('has no sample data, and no directory but those of the file', async () => {
    const listed = await suite.cli.run(['clients', 'list', '--json']);
    expect(listed.output).not.toContain('sample-');
    const customers = await suite.cli.run(['customers', 'list', '--json']);
    expect(customers.output).not.toContain('alex');
    const metadata = await running.server.fetch()(
      `${suite.issuer}/.well-known/openid-configuration`,
    );
    expect(await metadata.json()).not.toHaveProperty('registration_endpoint');
  });
});

describe('Another start with another file', () => {
  it('makes clients and customers as they are declared now', { timeout: timeoutMs }, async () => {
    const password = 'quite another phrase';
    const customers = [{ username: 'suite-user', password, claims: { name: 'Susan' } }];
    const first = await suite.start();
    await first.stop();
    const running = await suite.start({ customers, clients: suite.content.clients.slice(0, 1) });
    try {
      const configuration = await discover(running.server, {
        id: 'suite-basic',
        authentication: openid.ClientSecretBasic(suite.secret),
      });
      const { parameters, checks } = await parametersOf('https://suite.example.com/callback');
      const url = openid.buildAuthorizationUrl(configuration, parameters);
      const agent = createCustomerAgent(running.server);
      const callback = await agent.authorize(url.href, { username: 'suite-user', password });
      const tokens = await openid.authorizationCodeGrant(configuration, callback, checks);
      const { sub = '' } = tokens.claims() ?? {};
      const userinfo = await openid.fetchUserInfo(configuration, tokens.access_token, sub);
      expect(userinfo).toMatchObject({ name: 'Susan' });
      const listed = await suite.cli.run(['clients', 'list', '--json']);
      expect(listed.output).toContain('suite-basic');
      expect(listed.output).not.toContain('suite-dpop');
    } finally {
      await running.stop();
    }
  });
});

describe('A verification file is refused', () => {
  const serve = async (changed: object, environment: Record<string, string> = {}) => {
    const file = await suite.write({ ...suite.content, ...changed });
    const words = ['serve', '--config', file];
    return suite.cli.run(words, '', environment);
  };

  it('with every fault of its form at once', async () => {
    const { exitCode, errors } = await serve({
      issuer: 'http://localhost/path',
      customers: [{ username: 'x' }],
      surprise: true,
    });
    expect(exitCode).toBe(78);
    for (const fault of ['issuer: must be an origin', 'customers.0.password', '"surprise"']) {
      expect(errors).toContain(fault);
    }
  });

  it('with every fault of what it declares at once', async () => {
    const [basic, ...others] = suite.content.clients;
    const { exitCode, errors } = await serve({
      clients: [
        { ...basic, permissions: { [accountsApi]: ['unknown'] } },
        { ...others[0], permissions: { 'https://nowhere.example.com': ['accounts'] } },
        { metadata: { client_id: 'bad', redirect_uris: ['http://suite.example.com/'] } },
        { metadata: { client_id: 'bad', grant_types: ['implicit'] } },
      ],
      customers: [{ username: 'weak', password: 'short' }],
    });
    expect(exitCode).toBe(78);
    for (const fault of [
      `suite-basic: ${accountsApi} has no scope unknown`,
      'suite-mtls: there is no resource server https://nowhere.example.com',
      'redirect URI http://suite.example.com/ is not https',
      'grant types implicit are not offered',
      'the client bad is declared twice',
      'customer weak: The password is too short.',
    ]) {
      expect(errors).toContain(fault);
    }
  });

  it('in production', async () => {
    const { exitCode, errors } = await serve({}, { COUNTERSIGN_ENV: 'production' });
    expect(exitCode).toBe(78);
    expect(errors).toContain('--config is for development');
  });

  it('beside variables that decide the same', async () => {
    const { exitCode, errors } = await serve({}, { COUNTERSIGN_PORT: '4443' });
    expect(exitCode).toBe(78);
    expect(errors).toContain('COUNTERSIGN_PORT is set');
  });

  it('where it can not be read', async () => {
    const { exitCode, errors } = await suite.cli.run(['serve', '--config', 'missing.json']);
    expect(exitCode).toBe(78);
    expect(errors).toContain("missing.json can't be read");
  });
});

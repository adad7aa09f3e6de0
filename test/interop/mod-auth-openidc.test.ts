import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { createTestCertificates } from '../support/certificates.ts';
import type { TestCertificates } from '../support/certificates.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { startApache } from './support/apache.ts';
import type { Apache } from './support/apache.ts';
import { newClientKey } from './support/keys.ts';
import type { ClientKey } from './support/keys.ts';
import { openBrowser } from './support/relying-party.ts';
import type { Browser } from './support/relying-party.ts';

let server: AuthorizationServer;
let apache: Apache;
let origin: string;
let certificates: TestCertificates;

const account = () => `${origin}/account.shtml`;
const callback = () => `${origin}/callback`;
const goodbye = () => `${origin}/goodbye.shtml`;

beforeAll(async () => {
  const port = await freePort();
  origin = `https://localhost:${String(port)}`;
  certificates = await createTestCertificates();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [registration()],
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(port)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: certificates.authority.certificatePem,
    },
  });
  apache = await startApache({
    port,
    certificate: certificates.server,
    trusted: server.certificates.authority,
    modules: ['auth_openidc'],
    ...relyingParty(await newClientKey('apache-1', 'RS256')),
  });
});

afterAll(async () => {
  await apache.stop();
  await server.stop();
});

/** Apache publishes its keys itself, and is told of logouts. */
function registration() {
  return {
    metadata: {
      client_id: 'apache',
      client_name: 'Apache',
      redirect_uris: [callback()],
      post_logout_redirect_uris: [goodbye()],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'private_key_jwt',
      id_token_signed_response_alg: 'PS256',
      jwks_uri: `${callback()}?jwks=rsa`,
      backchannel_logout_uri: `${callback()}?logout=backchannel`,
      backchannel_logout_session_required: true,
    },
    permissions: {},
  };
}

function relyingParty({ kid, privatePem, publicPem }: ClientKey) {
  return {
    files: { 'rp.key': privatePem, 'rp.pub': publicPem },
    documents: {
      'account.shtml': '<p><!--#echo var="OIDC_CLAIM_name" --> <!--#echo var="REMOTE_USER" --></p>',
      'goodbye.shtml': '<p>Goodbye</p>',
    },
    directives: (path: string) => `
  OIDCPublicKeyFiles ${kid}#${path}/rp.pub
  OIDCPrivateKeyFiles ${kid}#${path}/rp.key
  OIDCProviderMetadataURL ${server.issuer}/.well-known/openid-configuration
  OIDCCABundlePath "${path}/ca.crt"
  OIDCClientID apache
  OIDCProviderTokenEndpointAuth private_key_jwt
  OIDCRedirectURI ${callback()}
  OIDCScope "openid profile email"
  OIDCPKCEMethod S256
  OIDCIDTokenSignedResponseAlg PS256
  OIDCRemoteUserClaim sub
  OIDCPassClaimsAs environment
  OIDCCryptoPassphrase ${randomBytes(32).toString('hex')}
  <Location />
    AuthType openid-connect
    Require valid-user
  </Location>
  <Location /goodbye.shtml>
    AuthType None
    Require all granted
  </Location>`,
  };
}

const newBrowser = () => openBrowser(server, certificates.authority);

/** Opens the protected page: Apache sends the browser to the authorization endpoint. */
async function beginLogin({ visit }: Browser): Promise<URL> {
  const { status, location } = await visit(account());
  expect([status, location]).toEqual([302, expect.stringContaining(`${server.issuer}/authorize?`)]);
  return new URL(location ?? '');
}

async function expectLoggedOut(browser: Browser): Promise<void> {
  const { location } = await browser.visit(account());
  expect(location).toContain(`${server.issuer}/authorize?`);
}

/** The whole way to the protected page. */
async function logIn(browser: Browser): Promise<string> {
  const request = await beginLogin(browser);
  const back = await browser.atServer.authorize(request.href);
  const accepted = await browser.visit(back.href);
  expect([accepted.status, accepted.location]).toEqual([302, account()]);
  const page = await browser.visit(account());
  expect(page.status).toBe(200);
  return page.html;
}

describe('Apache mod_auth_openidc as a relying party', () => {
  it('sends a code request with PKCE, state and nonce', async () => {
    const request = await beginLogin(newBrowser());
    expect(Object.fromEntries(request.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'apache',
      redirect_uri: callback(),
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      state: expect.stringMatching(/./) as unknown,
      nonce: expect.stringMatching(/./) as unknown,
    });
  });

  it('shows the claims of a customer who logged in', async () => {
    const html = await logIn(newBrowser());
    expect(html).toContain(`<p>Casey Miller ${server.customer.id}</p>`);
  });

  it('refuses a callback whose state is not its own', async () => {
    const browser = newBrowser();
    const back = await browser.atServer.authorize((await beginLogin(browser)).href);
    back.searchParams.set('state', 'A'.repeat(27));
    const refused = await browser.visit(back.href);
    expect(refused).toMatchObject({ status: 400, location: undefined });
    await expectLoggedOut(browser);
  });

  it('refuses a callback in a browser that never asked', async () => {
    const browser = newBrowser();
    const back = await browser.atServer.authorize((await beginLogin(browser)).href);
    const other = newBrowser();
    const refused = await other.visit(back.href);
    expect(refused).toMatchObject({ status: 400, location: undefined });
    await expectLoggedOut(other);
  });

  it('logs the customer out here and there', async () => {
    const browser = newBrowser();
    await logIn(browser);
    const { location } = await browser.visit(
      `${callback()}?logout=${encodeURIComponent(goodbye())}`,
    );
    expect(location).toContain(`${server.issuer}/logout?`);
    const asked = await browser.atServer.open(location ?? '');
    const done = await browser.atServer.submit(asked, { logout: 'yes' });
    expect(done.url).toContain(goodbye());
    const again = await browser.atServer.open((await beginLogin(browser)).href);
    expect(again.html).toContain('name="password"');
  });

  it('ends its session when it is told of a logout elsewhere', async () => {
    const browser = newBrowser();
    await logIn(browser);
    const { atServer } = browser;
    await atServer.submit(await atServer.open(`${server.issuer}/logout`), { logout: 'yes' });
    await expectLoggedOut(browser);
  });
});

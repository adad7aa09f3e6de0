import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createPrivateKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient, ProofOptions } from '../support/fapi.ts';
import { frameworks, installedProject } from '../support/packed-middleware.ts';
import type { Project } from '../support/packed-middleware.ts';
import { basic, post, send, statusWithAuthorizations } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let project: Project;
let holder: FapiClient;

beforeAll(async () => {
  const key = await newClientKey();
  [server, project] = await Promise.all([
    startAuthorizationServer({
      algorithms: ['PS256'],
      clients: [fapiRegistration('bank-app', key)],
    }),
    installedProject(),
  ]);
  holder = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
}, 60_000);

afterAll(async () => {
  await project.remove();
  await server.stop();
});

async function tppToken(scope = 'accounts', resource = accountsApi): Promise<string> {
  const form = { grant_type: 'client_credentials', client_id: 'tpp', scope, resource };
  const { body } = await post(server.fetch(server.tpp), `${server.mtlsOrigin}/token`, { form });
  return String(body['access_token']);
}

/** Any token that the server's own key could sign. */
async function signed(
  change: (claims: JWTPayload) => void,
  header: Record<string, string> = {},
): Promise<string> {
  const key = server.material.signingKeys.find(({ alg }) => alg === 'RS256');
  const token = await tppToken();
  const claims = decodeJwt(token);
  change(claims);
  return new SignJWT(claims)
    .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'RS256', ...header })
    .sign(createPrivateKey({ key: { ...key }, format: 'jwk' }));
}

describe('The packed package', () => {
  it('depends on jose alone, and has JavaScript with types', async () => {
    expect(project.manifest).toMatchObject({ name: 'countersign', type: 'module' });
    expect(Object.keys(project.manifest['dependencies'] as object)).toEqual(['jose']);
    const lib = path.join(project.path, 'node_modules/countersign/lib');
    const files = await readdir(lib, { recursive: true });
    const scripts = files.filter((file) => file.endsWith('.js'));
    expect(scripts.length).toBeGreaterThan(15);
    expect(files.filter((file) => /(?<!\.d)\.ts$/.test(file))).toEqual([]);
    const imports = new Set<string>();
    for (const file of scripts) {
      const text = await readFile(path.join(lib, file), 'utf8');
      for (const [, name = ''] of text.matchAll(/from ['"]([^'"]+)['"]/g)) imports.add(name);
    }
    const foreign = [...imports].filter((name) => !name.startsWith('.')).toSorted();
    expect(foreign).toEqual(['jose', 'node:crypto']);
  });

  it('has the types that its examples need', async () => {
    expect(await project.typeErrors()).toBe('');
  });
});

describe.each(frameworks)('The example for %s', (framework) => {
  let url: string;

  beforeAll(async () => {
    url = `${await project.start(framework, server, accountsApi)}/accounts`;
  });

  async function ask(
    headers: Record<string, string>,
    certificate: AuthorizationServer['tpp'] | undefined = server.tpp,
  ) {
    const answer = await send(server.fetch(certificate), url, { headers });
    return { ...answer, challenge: answer.headers.get('www-authenticate') };
  }
  const bearer = async (token: string, certificate = server.tpp) =>
    ask({ authorization: `Bearer ${token}` }, certificate);
  const invalid = { status: 401, body: { error: 'invalid_token' } };

  it('is answered with a token and its certificate', async () => {
    const { status, body, headers } = await bearer(await tppToken());
    expect([status, body]).toEqual([200, { accounts: [], subject: 'tpp', clientId: 'tpp' }]);
    expect(headers.get('content-type')).toContain('application/json');
  });

  it('is told what to bring', async () => {
    const answer = await ask({});
    expect(answer).toMatchObject({ status: 401, text: '' });
    const dpop = `DPoP realm="${accountsApi}", algs="ES256 PS256 EdDSA Ed25519"`;
    expect(answer.challenge).toBe(`Bearer realm="${accountsApi}", ${dpop}`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const malformed = await ask({ authorization: 'Bearer a b' });
    expect(malformed).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  it('is refused without the certificate, with another, and with an unbound token', async () => {
    const token = await tppToken();
    const { authority } = server.certificates;
    const namesake = await clientCertificate(authority, { subject: tppSubject });
    expect(await bearer(token, namesake)).toMatchObject(invalid);
    const none = await send(server.fetch(), url, { headers: { authorization: `Bearer ${token}` } });
    expect(none).toMatchObject(invalid);
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    const headers = basic('web', server.secrets.web);
    const { body } = await post(server.fetch(), `${server.issuer}/token`, { form, headers });
    expect(await bearer(String(body['access_token']))).toMatchObject(invalid);
  });

  it('is refused with a token that is not for it, over, or none', async () => {
    const past = Math.floor(Date.now() / 1000) - 1;
    expect((await bearer(await signed(() => undefined))).status).toBe(200); // the control
    const tokens = [
      'x',
      (await tppToken()).slice(0, -4),
      await tppToken('statements', opaqueApi),
      await signed((claims) => (claims.exp = past)),
      await signed((claims) => (claims.aud = 'https://other.example')),
      await signed((claims) => (claims.iss = 'https://other.example')),
      await signed((claims) => (claims['cnf'] = undefined)),
      await signed(() => undefined, { typ: 'JWT' }),
      await signed(() => undefined, { kid: 'unknown' }),
    ];
    for (const [index, token] of tokens.entries()) {
      expect({ index, ...(await bearer(token)) }).toMatchObject({ index, ...invalid });
    }
    const challenge = `Bearer realm="${accountsApi}", error="invalid_token", error_description="the token is not valid here"`;
    expect((await bearer('eyJ.x.y')).challenge).toBe(challenge);
  });

  it('is refused without the scope', async () => {
    const answer = await bearer(await tppToken('payments'));
    expect(answer).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
    expect(answer.challenge).toContain('scope="accounts"');
  });

  it('takes a key instead of a certificate, and each proof once', async () => {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    const accessToken = String((await holder.token(form)).body['access_token']);
    const authorization = `DPoP ${accessToken}`;
    const proof = (options: Partial<ProofOptions> = {}) => {
      const usual = { key: holder.proofKey, url: `${accountsApi}/accounts`, method: 'GET' };
      return dpopProof({ ...usual, accessToken, ...options });
    };
    const once = await proof();
    expect(await ask({ authorization, dpop: once })).toMatchObject({
      status: 200,
      body: { clientId: 'bank-app' },
    });
    const refused = [once, 'x', await proof({ method: 'POST' }), await proof({ url })];
    for (const dpop of refused) {
      const answer = await ask({ authorization, dpop });
      expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_dpop_proof' } });
      expect(answer.challenge).toMatch(/^DPoP /);
    }
    expect(await ask({ authorization })).toMatchObject({ status: 401 });
    expect(await bearer(accessToken)).toMatchObject(invalid);
  });

  it('does not take two Authorization headers for one', async () => {
    const token = await tppToken();
    const by = { authority: server.certificates.authority, certificate: server.tpp };
    const ask = (lines: string[]) => statusWithAuthorizations(url, lines, by);
    expect(await ask([`Bearer ${token}`, 'Bearer x'])).toBe(400);
    expect(await ask([`Bearer ${token}`])).toBe(200); // the control
  });
});

import type * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { issuedBy } from '../support/attack.ts';
import { clientCertificate, selfSignedClientCertificate } from '../support/certificates.ts';
import { authorize, callbacks, postForm } from '../support/journey.ts';
import { discoverTpp } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const twinSubject = 'CN=tpp-2,O=Example TPP\\, Ltd,C=GB';
const shared = 'https://shared.example.com/callback';
const redirect_uri = callbacks.tpp;

let server: AuthorizationServer;
let tpp: openid.Configuration;
let twin: IssuedCertificate;

beforeAll(async () => {
  const registration = (client_id: string, subject: string) => ({
    metadata: {
      client_id,
      redirect_uris: [callbacks.tpp, shared],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: subject,
    },
    permissions: { [accountsApi]: ['accounts'] },
  });
  server = await startAuthorizationServer({ clients: [registration('tpp-2', twinSubject)] });
  twin = await clientCertificate(server.certificates.authority, { subject: twinSubject });
  tpp = await discoverTpp(server);
});

afterAll(() => server.stop());

interface Injection {
  clientId?: string;
  certificate?: IssuedCertificate;
  basic?: readonly [string, string];
  redirectUri?: string;
}

async function inject({ clientId, certificate, basic, redirectUri = redirect_uri }: Injection) {
  const parameters = { redirect_uri, scope: 'accounts' };
  const { code, codeVerifier } = await authorize(server, tpp, { parameters });
  const form = {
    grant_type: 'authorization_code',
    code,
    code_verifier: codeVerifier,
    redirect_uri: redirectUri,
    ...(clientId === undefined ? {} : { client_id: clientId }),
  };
  const sender = {
    ...(certificate === undefined ? {} : { certificate }),
    ...(basic === undefined ? {} : { basic }),
  };
  let answer: Awaited<ReturnType<typeof postForm>> | undefined;
  const issued = await issuedBy(server, async () => {
    answer = await postForm(server, '/token', { parameters: form, ...sender });
  });
  const owner = { ...form, client_id: 'tpp', redirect_uri };
  const rightful = await postForm(server, '/token', {
    parameters: owner,
    certificate: server.tpp,
  });
  return { answer, issued, rightful: rightful.status };
}

describe('A stolen code, with its verifier, is worth nothing', () => {
  it('to another client with a certificate of its own', async () => {
    const { answer, issued, rightful } = await inject({ clientId: 'tpp-2', certificate: twin });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect([issued, rightful]).toEqual([0, 200]);
  });

  it('to another client with a secret', async () => {
    const { answer, issued, rightful } = await inject({ basic: ['web', server.secrets.web] });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect([issued, rightful]).toEqual([0, 200]);
  });

  it('to a public client', async () => {
    const { answer, issued, rightful } = await inject({ clientId: 'app' });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect([issued, rightful]).toEqual([0, 200]);
  });

  it.each([
    ['another client’s certificate', () => Promise.resolve(twin)],
    ['its subject, signed by itself', () => selfSignedClientCertificate({ subject: tppSubject })],
    [
      'its subject, from a foreign authority',
      () => clientCertificate(server.certificates.foreignAuthority, { subject: tppSubject }),
    ],
    [
      'its subject and one part more',
      () => clientCertificate(server.certificates.authority, { subject: `${tppSubject},L=Leeds` }),
    ],
  ] as const)('in the name of its client with %s', async (_, certificate) => {
    const presented = await certificate();
    const injected = await inject({ clientId: 'tpp', certificate: presented });
    expect(injected.answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect([injected.issued, injected.rightful]).toEqual([0, 200]);
  });

  it('in the name of its client without any certificate', async () => {
    const { answer, issued, rightful } = await inject({ clientId: 'tpp' });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect([issued, rightful]).toEqual([0, 200]);
  });

  it.each([shared, 'https://tpp.example.com/callback/', 'https://tpp.example.com/Callback', ''])(
    'at the redirect URI %j, which it was not issued for',
    async (redirectUri) => {
      const attacked = { clientId: 'tpp', certificate: server.tpp, redirectUri };
      const { answer, issued, rightful } = await inject(attacked);
      expect(answer?.status).toBe(400);
      expect(answer?.body['error']).toMatch(/^invalid_(?:grant|request)$/);
      expect([issued, rightful]).toEqual([0, 200]);
    },
  );
});

describe('A stolen refresh token is worth nothing', () => {
  it('to another client, nor with another certificate; and its client keeps it', async () => {
    const parameters = { redirect_uri, scope: 'accounts' };
    const { code, codeVerifier } = await authorize(server, tpp, { parameters });
    const own = { client_id: 'tpp', redirect_uri };
    const tokens = await postForm(server, '/token', {
      parameters: { grant_type: 'authorization_code', code, code_verifier: codeVerifier, ...own },
      certificate: server.tpp,
    });
    const stolen = {
      grant_type: 'refresh_token',
      refresh_token: String(tokens.body['refresh_token']),
    };
    const attack = async () => {
      const asTwin = { parameters: { ...stolen, client_id: 'tpp-2' }, certificate: twin };
      expect(await postForm(server, '/token', asTwin)).toMatchObject({
        status: 400,
        body: { error: 'invalid_grant' },
      });
      const asApp = { parameters: { ...stolen, client_id: 'app' } };
      expect((await postForm(server, '/token', asApp)).body['error']).toBe('invalid_grant');
      const forged = { parameters: { ...stolen, client_id: 'tpp' }, certificate: twin };
      expect((await postForm(server, '/token', forged)).body['error']).toBe('invalid_client');
    };
    expect(await issuedBy(server, attack)).toBe(0);
    const rightful = await postForm(server, '/token', {
      parameters: { ...stolen, client_id: 'tpp' },
      certificate: server.tpp,
    });
    expect(rightful.status).toBe(200);
  });
});

import { X509Certificate } from 'node:crypto';
import { decodeJwt, exportJWK } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { certificateThumbprint } from '../../src/tls/client-certificate.ts';
import {
  clientCertificate,
  expiredClientCertificate,
  notYetValidClientCertificate,
  selfSignedClientCertificate,
} from '../support/certificates.ts';
import { discover } from '../support/openid.ts';
import { auditOf, post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const multiValued = 'CN=tpp-1+2.5.4.5=7,O=Example TPP,C=GB';
const permissions = { [accountsApi]: ['accounts'] };

/** Client id → how it registered its certificate. */
const registrations = {
  hex: { tls_client_auth_subject_dn: 'CN=tpp-1,O=Example TPP\\2C Ltd,C=GB' },
  oid: { tls_client_auth_subject_dn: '2.5.4.3=tpp-1,2.5.4.10=Example TPP\\, Ltd,2.5.4.6=GB' },
  'other-case': { tls_client_auth_subject_dn: 'cn=TPP-1,o=example tpp\\, LTD,c=gb' },
  spaces: { tls_client_auth_subject_dn: 'CN = tpp-1 ,  O=Example   TPP\\, Ltd , C=GB' },
  reversed: { tls_client_auth_subject_dn: 'C=GB,O=Example TPP\\, Ltd,CN=tpp-1' },
  shorter: { tls_client_auth_subject_dn: 'CN=tpp-1,C=GB' },
  longer: { tls_client_auth_subject_dn: 'CN=tpp-1,OU=x,O=Example TPP\\, Ltd,C=GB' },
  'multi-valued': { tls_client_auth_subject_dn: '2.5.4.5=7+CN=tpp-1,O=Example TPP,C=GB' },
  'multi-split': { tls_client_auth_subject_dn: 'CN=tpp-1,2.5.4.5=7,O=Example TPP,C=GB' },
  dns: { tls_client_auth_san_dns: 'TPP.example.com' },
  uri: { tls_client_auth_san_uri: 'https://tpp.example.com/id' },
  ip: { tls_client_auth_san_ip: '2001:DB8:0::1' },
  email: { tls_client_auth_san_email: 'ops@TPP.example.com' },
} as const;

let server: AuthorizationServer;
let selfSigned: Record<'current' | 'renewed' | 'expired' | 'foreign', IssuedCertificate>;

beforeAll(async () => {
  const hour = 3_600_000;
  const now = performance.timeOrigin + performance.now();
  selfSigned = {
    current: await selfSignedClientCertificate(),
    renewed: await selfSignedClientCertificate(),
    foreign: await selfSignedClientCertificate(),
    expired: await selfSignedClientCertificate({
      notBefore: new Date(now - 2 * hour),
      notAfter: new Date(now - hour),
    }),
  };
  const { current, renewed, expired } = selfSigned;
  const common = { grant_types: ['client_credentials'], redirect_uris: [] };
  server = await startAuthorizationServer({
    clients: [
      ...Object.entries(registrations).map(([client_id, subject]) => ({
        metadata: {
          ...common,
          client_id,
          token_endpoint_auth_method: 'tls_client_auth',
          ...subject,
        },
        permissions,
      })),
      {
        metadata: {
          ...common,
          client_id: 'self-signed',
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          jwks: { keys: await Promise.all([current, renewed, expired].map(keyWithCertificate)) },
        },
        permissions,
      },
    ],
  });
});

afterAll(() => server.stop());

async function keyWithCertificate({ certificatePem }: IssuedCertificate) {
  const { publicKey, raw } = new X509Certificate(certificatePem);
  return { ...(await exportJWK(publicKey)), x5c: [raw.toString('base64')] };
}

function requestToken(client_id: string, certificate?: IssuedCertificate): Promise<Answer> {
  const form = { grant_type: 'client_credentials', client_id, scope: 'accounts' };
  return post(server.fetch(certificate), `${server.mtlsOrigin}/token`, { form });
}

const invalidClient = {
  error: 'invalid_client',
  error_description: 'client authentication failed',
};

/** Refused as every other failure outside, with the reason in the log and the audit trail. */
async function expectRefused(answer: Answer, clientId: string, reason: RegExp): Promise<void> {
  expect([answer.status, answer.body]).toEqual([401, invalidClient]);
  const [event, ...more] = await auditOf(server, answer);
  expect(more).toEqual([]);
  expect(event).toMatchObject({
    type: 'client.authentication_failed',
    outcome: 'refused',
    client_id: clientId,
    detail: { error: 'invalid_client', reason: expect.stringMatching(reason) as unknown },
  });
  const lines = await server.log.lines();
  const id = answer.headers.get('x-request-id');
  const own = lines.filter((line) => line['requestId'] === id);
  expect(own).toMatchObject([
    { events: [{ detail: { reason: expect.stringMatching(reason) as unknown } }] },
  ]);
}

describe('A client with a certificate of the truststore', () => {
  it.each(['tpp', 'hex', 'oid', 'other-case', 'spaces'])(
    'is known by its subject, however "%s" registered it',
    async (id) => {
      const configuration = await discover(server, {
        id,
        authentication: openid.TlsClientAuth(),
        certificate: server.tpp,
      });
      const token = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
      const thumbprint = certificateThumbprint(new X509Certificate(server.tpp.certificatePem));
      expect(decodeJwt(token.access_token)['cnf']).toEqual({ 'x5t#S256': thumbprint });
    },
  );

  it.each(['reversed', 'shorter', 'longer'])('is not known by a name that is %s', async (id) => {
    await expectRefused(
      await requestToken(id, server.tpp),
      id,
      /tls_client_auth_subject_dn is registered as ".*CN=tpp-1/,
    );
  });

  it('may have several values in one part of its name, in any order', async () => {
    const { authority } = server.certificates;
    const certificate = await clientCertificate(authority, { subject: multiValued });
    expect((await requestToken('multi-valued', certificate)).status).toBe(200);
    await expectRefused(
      await requestToken('multi-split', certificate),
      'multi-split',
      /subject_dn/,
    );
  });

  it.each([
    ['dns', { sanDns: ['other.example.com', 'tpp.EXAMPLE.com'] }, { sanDns: ['*.example.com'] }],
    [
      'uri',
      { sanUri: ['https://tpp.example.com/id'] },
      { sanUri: ['https://tpp.example.com/ID', 'https://tpp.example.com/id/'] },
    ],
    ['ip', { sanIp: ['2001:db8::1'] }, { sanIp: ['2001:db8::2', '127.0.0.1'] }],
    ['email', { sanEmail: ['ops@tpp.EXAMPLE.com'] }, { sanEmail: ['Ops@tpp.example.com'] }],
  ])('is known by its alternative name: %s', async (id, fitting, other) => {
    const { authority } = server.certificates;
    const subject = 'CN=whatever';
    expect(
      (await requestToken(id, await clientCertificate(authority, { subject, ...fitting }))).status,
    ).toBe(200);
    const refused = await requestToken(
      id,
      await clientCertificate(authority, { subject, ...other }),
    );
    await expectRefused(refused, id, new RegExp(`tls_client_auth_san_${id} is registered as`));
    // A name of another kind does not stand in for it.
    const asSubject = await clientCertificate(authority, { subject: 'CN=tpp.example.com' });
    await expectRefused(await requestToken(id, asSubject), id, /the certificate has none/);
  });

  it('is refused at the listener that asks for no certificate', async () => {
    const form = { grant_type: 'client_credentials', client_id: 'tpp' };
    const answer = await post(server.fetch(server.tpp), `${server.issuer}/token`, { form });
    await expectRefused(answer, 'tpp', /certificate was not provided/);
  });
});

describe('A certificate that is not in order', () => {
  const subject = tppSubject;
  const { authority, foreignAuthority } = {
    authority: () => server.certificates.authority,
    foreignAuthority: () => server.certificates.foreignAuthority,
  };

  it.each([
    [
      'of another authority',
      () => clientCertificate(foreignAuthority(), { subject }),
      /not trusted/,
    ],
    ['self-signed', () => selfSignedClientCertificate({ subject }), /not trusted/],
    ['expired', () => expiredClientCertificate(authority(), { subject }), /expired at/],
    [
      'not yet valid',
      () => notYetValidClientCertificate(authority(), { subject }),
      /not valid before/,
    ],
    [
      'for servers',
      () => clientCertificate(authority(), { subject, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }),
      /extended key usage/,
    ],
    [
      'of another subject',
      () => clientCertificate(authority(), { subject: 'CN=tpp-2' }),
      /subject/,
    ],
    ['missing', () => Promise.resolve(undefined), /certificate was not provided/],
  ])('is refused when it is %s', async (_name, issue, reason) => {
    await expectRefused(await requestToken('tpp', await issue()), 'tpp', reason);
  });

  it('looks the same outside, whatever the fault, and like an unknown client', async () => {
    const answers = [
      await requestToken('tpp'),
      await requestToken('tpp', await clientCertificate(foreignAuthority(), { subject })),
      await requestToken('tpp', await expiredClientCertificate(authority(), { subject })),
      await requestToken('tpp', await clientCertificate(authority(), { subject: 'CN=tpp-2' })),
      await requestToken('nobody', server.tpp),
      await requestToken('self-signed', server.tpp),
    ];
    const outside = answers.map(({ status, text, headers }) => {
      const names = [...headers.keys()].filter((name) => name !== 'x-request-id');
      return JSON.stringify([status, text, names, headers.get('www-authenticate')]);
    });
    expect(new Set(outside).size).toBe(1);
  });
});

describe('A client with a self-signed certificate', () => {
  it.each(['current', 'renewed'] as const)('is known by each registered one: %s', async (name) => {
    const configuration = await discover(server, {
      id: 'self-signed',
      authentication: openid.TlsClientAuth(),
      certificate: selfSigned[name],
    });
    const token = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
    const thumbprint = certificateThumbprint(new X509Certificate(selfSigned[name].certificatePem));
    expect(decodeJwt(token.access_token)['cnf']).toEqual({ 'x5t#S256': thumbprint });
  });

  it('is refused with one that it did not register, and with an expired one', async () => {
    const refuse = async (certificate: IssuedCertificate | undefined, reason: RegExp) => {
      await expectRefused(await requestToken('self-signed', certificate), 'self-signed', reason);
    };
    await refuse(selfSigned.foreign, /unregistered client certificate/);
    await refuse(server.tpp, /unregistered client certificate/);
    await refuse(selfSigned.expired, /expired at/);
    await refuse(undefined, /certificate was not provided/);
  });

  it('is known by a new one as soon as its registration says so, and no more by the old one', async () => {
    const { clients } = server.running.app;
    const [old, renewed] = [
      await selfSignedClientCertificate(),
      await selfSignedClientCertificate(),
    ];
    const save = async (certificate: IssuedCertificate) =>
      clients.save({
        source: 'operator',
        permissions,
        metadata: {
          client_id: 'renewing',
          redirect_uris: [],
          response_types: [],
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'self_signed_tls_client_auth',
          tls_client_certificate_bound_access_tokens: true,
          jwks: { keys: [await keyWithCertificate(certificate)] },
        },
      });
    await save(old);
    expect((await requestToken('renewing', old)).status).toBe(200);
    await save(renewed);
    expect((await requestToken('renewing', renewed)).status).toBe(200);
    await expectRefused(await requestToken('renewing', old), 'renewing', /unregistered/);
  });
});

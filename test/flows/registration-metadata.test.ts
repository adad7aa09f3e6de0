import { exportJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  signedDirectory,
  softwareCertificate,
  strictDirectory,
  testDirectory,
  testKey,
} from '../support/directory.ts';
import type { TestDirectory, TestSoftware } from '../support/directory.ts';
import { requestsOf } from '../support/refused-registration.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let directory: TestDirectory;
let server: AuthorizationServer;
let software: TestSoftware;
let certificate: IssuedCertificate;

beforeAll(async () => {
  directory = await testDirectory();
  server = await startAuthorizationServer({ environment: directory.environment });
  software = await directory.software({ audience: server.issuer });
  certificate = await softwareCertificate(server, software);
});

afterAll(async () => {
  await server.stop();
  await directory.close();
});

const { expectRefusal, body } = requestsOf(() => ({ server, software, certificate }));

describe('Metadata is refused with', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a foreign URI', { redirect_uris: ['https://evil.example.com/'] }, /not in the software/],
    ['a foreign URI among others', { redirect_uris: ['own', 'https://evil.example.com/'] }, /evil/],
    ['a fragment', { redirect_uris: ['own#x'] }, /has a fragment/],
    ['an empty fragment', { redirect_uris: ['own#'] }, /has a fragment/],
    ['http', { redirect_uris: ['http://tpp.example.com/'] }, /is not https/],
    ['localhost', { redirect_uris: ['https://localhost/callback'] }, /customer's own machine/],
    [
      'a loopback address in IPv6',
      { redirect_uris: ['https://[::ffff:127.0.0.1]/'] },
      /customer's own machine/,
    ],
    ['a loopback address', { redirect_uris: ['http://127.0.0.1/'] }, /is not https/],
    ['another scheme', { redirect_uris: ['com.example.tpp:/callback'] }, /is not https/],
    ['a script', { redirect_uris: ['javascript:alert(1)'] }, /is not https/],
    ['a wildcard', { redirect_uris: ['https://*.example.com/'] }, /has a wildcard/],
    [
      'another host to go to after logout',
      { post_logout_redirect_uris: ['https://evil.example.com/'] },
      /no redirect URI of the software statement has the host/,
    ],
    [
      "the customer's own machine after logout",
      { post_logout_redirect_uris: ['https://localhost/out'] },
      /localhost\/out is of the customer's own machine/,
    ],
    ['no list of URIs', { redirect_uris: 'own' }, /redirect_uris/],
    ['no URI in the list', { redirect_uris: [7] }, /redirect_uris/],
    ['an empty list', { redirect_uris: [] }, /must have a member/],
  ])('%s in redirect_uris', async (_name, { redirect_uris, ...more }, reason) => {
    const own = (uri: unknown) =>
      typeof uri === 'string' ? uri.replace(/^own/, software.redirectUri) : uri;
    const uris = Array.isArray(redirect_uris) ? redirect_uris.map(own) : redirect_uris;
    await expectRefusal(
      { body: await body({ ...more, redirect_uris: uris }) },
      { error: 'invalid_redirect_uri', reason },
    );
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no authentication', { token_endpoint_auth_method: 'none' }, /"none" can't be registered/],
    [
      'a secret',
      { token_endpoint_auth_method: 'client_secret_basic' },
      /"client_secret_basic" can't be registered/,
    ],
    [
      'a certificate that nobody vouches for',
      { token_endpoint_auth_method: 'self_signed_tls_client_auth' },
      /can't be registered/,
    ],
    ['a method that is no text', { token_endpoint_auth_method: ['tls_client_auth'] }, /can't be/],
    ['alg none', { id_token_signed_response_alg: 'none' }, /id_token_signed_response_alg/],
    ['alg HS256', { token_endpoint_auth_signing_alg: 'HS256' }, /token_endpoint_auth_signing_alg/],
    ['a grant that is not offered', { grant_types: ['implicit'] }, /implicit/],
    ['grants that are no list', { grant_types: 'client_credentials' }, /grant_types/],
    ['a response type that is not offered', { response_types: ['token'] }, /response type/],
    ['keys by value', { jwks: { keys: [{ kty: 'EC' }] } }, /by value/],
    ['keys that are elsewhere', { jwks_uri: 'https://evil.example.com/jwks' }, /jwks_uri is https/],
    ['keys at a private address', { jwks_uri: 'https://169.254.169.254/' }, /jwks_uri is https/],
    ['scopes that no role permits', { scope: 'admin' }, /none of the scopes admin is permitted/],
    ['a scope that is no text', { scope: ['accounts'] }, /scope/],
    [
      "another certificate's subject",
      { tls_client_auth_subject_dn: 'CN=somebody else,C=GB' },
      /registered as "CN=somebody else,C=GB", the certificate has/,
    ],
    [
      'another name of the certificate',
      { tls_client_auth_san_dns: 'evil.example.com' },
      /has none/,
    ],
    [
      'two names of the certificate',
      { tls_client_auth_subject_dn: 'CN=a', tls_client_auth_san_dns: 'b' },
      /exactly one/,
    ],
    ['a logo over http', { logo_uri: 'http://tpp.example.com/logo' }, /logo_uri/],
    ['a logout address in a network', { backchannel_logout_uri: 'https://10.0.0.1/' }, /no public/],
    [
      'a logout address in disguise',
      { backchannel_logout_uri: 'https://0x7f.1/out' },
      /backchannel_logout_uri https:.* has no public host/,
    ],
    [
      'a logout address in IPv6',
      { backchannel_logout_uri: 'https://[::ffff:169.254.169.254]/' },
      /has no public host/,
    ],
    [
      'a logout address on the machine',
      { backchannel_logout_uri: 'https://localhost./out' },
      /has no public host/,
    ],
    ['a logout address over http', { backchannel_logout_uri: 'http://a.example/' }, /backchannel/],
    [
      'a sector at a private address',
      { sector_identifier_uri: 'https://10.0.0.1/' },
      /10\.0\.0\.1 is not a public address/,
    ],
    ['contacts that are no list', { contacts: 'me' }, /contacts/],
    [
      'a type of authorization details that there is not',
      { authorization_details_types: ['account_information', 'everything'] },
      /authorization_details_types/,
    ],
    [
      'types of authorization details that are no list',
      { authorization_details_types: 'account_information' },
      /authorization_details_types/,
    ],
    [
      'a type of authorization details that no role permits',
      { authorization_details_types: ['account_information', 'funds_confirmation'] },
      /: funds_confirmation needs the scope fundsconfirmations/,
    ],
    [
      'a type of authorization details whose scope it does not ask for',
      { scope: 'openid accounts', authorization_details_types: ['payment_initiation'] },
      /: payment_initiation needs the scope payments/,
    ],
  ])('%s', async (_name, members, reason) => {
    await expectRefusal(
      { body: await body(members) },
      { error: 'invalid_client_metadata', reason },
    );
  });

  it.each([' ', '\u3164', '\u200b', '\u202eknaB', 'Bank\nof', 'Bank\u2028', '!?'])(
    'a name in the statement that nobody can read: %j',
    async (software_client_name) => {
      await expectRefusal(
        { body: await body({}, { claims: { software_client_name } }) },
        { error: 'invalid_client_metadata', reason: /client_name: has/ },
      );
    },
  );

  it('the software id of another', async () => {
    await expectRefusal(
      { body: await body({ software_id: 'another' }) },
      { error: 'unapproved_software_statement', reason: /software_id is another/ },
    );
  });

  it('keys that the statement has at an address that is not public', async () => {
    const jwksUri = 'https://10.0.0.1/jwks';
    const before = directory.requests.length;
    await expectRefusal(
      { body: await body({}, { claims: { software_jwks_uri: jwksUri } }) },
      { error: 'invalid_client_metadata', reason: /10\.0\.0\.1 is not a public address/ },
    );
    expect(directory.requests.slice(before)).not.toContain('/jwks');
  });

  it("the customer's own machine, also where the statement says so and the request nothing", async () => {
    const claims = { software_redirect_uris: ['https://localhost/callback'] };
    await expectRefusal(
      { body: await body({}, { claims }) },
      { error: 'invalid_redirect_uri', reason: /customer's own machine/ },
    );
  });

  it.each<[string, unknown, RegExp]>([
    ['is not there', undefined, /it answered 404/],
    ['is no list', { uris: [] }, /no JSON array/],
    ['names others only', ['https://victim.example.com/callback'], /does not name https:/],
  ])('a sector whose document %s', async (_name, document, reason) => {
    directory.documents.set('/sector', document);
    await expectRefusal(
      { body: await body({ sector_identifier_uri: `${directory.origin}/sector` }) },
      { error: 'invalid_client_metadata', reason },
    );
  });

  it('private keys', async () => {
    const { privateKey } = await testKey('k');
    const claims = { aud: 'the bank', org_status: 'Active', software_jwks_uri: undefined };
    const jwks = { keys: [await exportJWK(privateKey)] };
    await expectRefusal(
      { body: await body({ jwks }, { claims }, strictDirectory) },
      { error: 'invalid_client_metadata', reason: /is not public/ },
    );
  });
});

describe('A body is refused that', () => {
  it.each<[string, string, string, RegExp]>([
    ['is no JSON', 'application/json', '{', /cannot be read/],
    ['is empty', 'application/json', '', /cannot be read/],
    ['is a list', 'application/json', '[]', /not an object/],
    ['is null', 'application/json', 'null', /not an object/],
    ['is huge', 'application/json', `{"a":"${'x'.repeat(70_000)}"}`, /more than 65536 bytes/],
    ['is deep', 'application/json', `{"a":${'['.repeat(9)}${']'.repeat(9)}}`, /nested deeper/],
    ['is very deep', 'application/json', `{"a":${'['.repeat(30_000)}`, /cannot be read|deeper/],
    [
      'says a thing twice',
      'application/json',
      '{"scope":"accounts","scope":"admin"}',
      /"scope" is in it twice/,
    ],
    [
      'says it twice in other letters',
      'application/json',
      '{"scope":"a","sc\\u006fpe":"b"}',
      /twice/,
    ],
    ['has U+0000', 'application/json', '{"client_name":"a\\u0000"}', /U\+0000/],
    ['has a lone surrogate', 'application/json', '{"contacts":["\\ud800"]}', /lone surrogate/],
    ['is a form', 'application/x-www-form-urlencoded', 'scope=accounts', /a body of type/],
    ['is text', 'text/plain', '{}', /a body of type/],
    [
      'is said to be in another charset',
      'application/json; charset=utf-16',
      '{}',
      /a body of type/,
    ],
    ['is no JWT', 'application/jwt', '{}', /not a compact JWS/],
  ])('%s', async (...[, contentType, text, reason]) => {
    await expectRefusal({ body: text, contentType }, { error: 'invalid_client_metadata', reason });
  });

  it('is plain where the directory wants it signed, and the other way round', async () => {
    await expectRefusal(
      { body: await body({}, {}, signedDirectory) },
      { error: 'invalid_client_metadata', reason: /is json, .* wants jwt/ },
    );
    await expectRefusal(
      { body: await software.signed(await body()) },
      { error: 'invalid_client_metadata', reason: /is jwt, .* wants json/ },
    );
  });
});

describe('A token is refused where none is accepted', () => {
  it.each(['x'.repeat(43), 'a b', ''])('%j', async (token) => {
    await expectRefusal(
      { token, body: await body() },
      { status: 401, error: 'invalid_token', reason: /initial access token/ },
    );
  });
});

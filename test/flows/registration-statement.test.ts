import { createPrivateKey } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  clientCertificate,
  expiredClientCertificate,
  notYetValidClientCertificate,
  selfSignedClientCertificate,
} from '../support/certificates.ts';
import {
  softwareCertificate,
  strictDirectory,
  testDirectory,
  testKey,
  ukDirectory,
} from '../support/directory.ts';
import type { StatementVariation, TestDirectory, TestSoftware } from '../support/directory.ts';
import { forgeries } from '../support/forged-jwt.ts';
import { requestsOf } from '../support/refused-registration.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const brokenDirectory = 'https://broken.example.com';
const certificateDirectory = 'https://qwac.example.com';
const usual = {
  algorithms: ['ES256'],
  maxAgeSeconds: 300,
  roles: { AISP: { [accountsApi]: ['accounts'] } },
  certificate: [{ attribute: 'UID', claim: 'software_id' }],
  profile: 'baseline',
};
const further = [
  { ...usual, issuer: brokenDirectory, keys: { url: 'https://localhost:1/keys' } },
  { ...usual, issuer: certificateDirectory, keys: { file: 'keys.json' }, rolesFrom: 'both' },
];

let directory: TestDirectory;
let server: AuthorizationServer;
let software: TestSoftware;
let certificate: IssuedCertificate;

beforeAll(async () => {
  directory = await testDirectory(further);
  server = await startAuthorizationServer({ environment: directory.environment });
  software = await directory.software({ audience: server.issuer });
  certificate = await softwareCertificate(server, software);
});

afterAll(async () => {
  await server.stop();
  await directory.close();
});

const { expectRefusal, body } = requestsOf(() => ({ server, software, certificate }));

const now = () => epochSeconds(systemClock);

describe('A statement is refused that', () => {
  it.each<[string, StatementVariation, RegExp]>([
    ['is too old', { claims: { iat: now() - 400 } }, /4\d\d s old, allowed are 300 s/],
    ['is from the future', { claims: { iat: now() + 120 } }, /1\d\d s in the future/],
    ['has expired', { claims: { exp: now() - 1 } }, /expired/],
    ['is not valid yet', { claims: { nbf: now() + 120 } }, /not valid yet/],
    ['does not say when it was issued', { claims: { iat: undefined } }, /no iat/],
    ['says so in words', { claims: { iat: 'today' } }, /no iat/],
    ['names no software', { claims: { software_id: undefined } }, /software_id/],
    ['has roles that are no list', { claims: { software_roles: 'AISP' } }, /software_roles/],
    [
      'is for another bank',
      { claims: { aud: 'https://other.example' } },
      /aud is "https:\/\/other/,
    ],
    ['is for other banks', { claims: { aud: ['https://other.example', 7] } }, /aud is \["https:/],
    ['is for nobody', { claims: { aud: [] } }, /aud is \[\]/],
    ['is an access token', { header: { typ: 'at+jwt' } }, /statement's typ is "at\+jwt"/],
    ['is an event', { header: { typ: 'secevent+jwt' } }, /typ is "secevent\+jwt"/],
    ['has U+0000', { claims: { software_version: '1\0' } }, /a text in it has U\+0000/],
    ['has a kid that nobody knows', { header: { kid: 'other' } }, /no applicable key/],
  ])('%s', async (_name, variation, reason) => {
    await expectRefusal(
      { body: await body({}, variation) },
      { error: 'invalid_software_statement', reason },
    );
  });

  it('but not one that is for us and says that it is a JWT', async () => {
    const theirs = await directory.software();
    const variation = {
      claims: { aud: ['https://other.example', server.issuer] },
      header: { typ: 'JWT' },
    };
    const answer = await callRegistration(server, {
      certificate: await softwareCertificate(server, theirs),
      body: { software_statement: await theirs.statement(ukDirectory, variation) },
    });
    expect(answer.status).toBe(201);
  });

  it('is signed with another key', async () => {
    const { privateKey } = await testKey('directory-1');
    await expectRefusal(
      { body: await body({}, { key: privateKey }) },
      { error: 'invalid_software_statement', reason: /signature verification failed/ },
    );
  });

  it('has an algorithm that the directory does not use', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const variation = { key: privateKey, header: { alg: 'RS256' } };
    await expectRefusal(
      { body: await body({}, variation) },
      { error: 'invalid_software_statement', reason: /alg is "RS256", allowed are PS256, ES256/ },
    );
  });

  it('is forged in one of the ways that verifiers have believed', async () => {
    const jwk = { ...(await exportJWK(directory.key.privateKey)), kid: 'directory-1' };
    const statement = await software.statement();
    const payload: unknown = JSON.parse(
      Buffer.from(statement.split('.')[1] ?? '', 'base64url').toString(),
    );
    const trusted = {
      jwk: createPrivateKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' }),
    };
    const named = { jwk: { ...trusted.jwk, kid: 'directory-1' }, alg: 'ES256' } as const;
    const lure = `${directory.origin}/lure`;
    const forged = forgeries(named, { header: {}, payload }, lure);
    expect(Object.keys(forged).length).toBeGreaterThan(40);
    const before = await registered(server);
    for (const [name, software_statement] of Object.entries(forged)) {
      const answer = await callRegistration(server, { certificate, body: { software_statement } });
      const { status } = answer;
      expect({ name, status, error: answer.body['error'] }).toEqual({
        name,
        status: 400,
        error: expect.stringMatching(/^(?:invalid|unapproved)_software_statement$/) as unknown,
      });
    }
    expect(await registered(server)).toBe(before);
    expect(directory.requests).not.toContain('/lure');
  });

  it('is of a directory that we do not trust', async () => {
    await expectRefusal(
      { body: await body({}, {}, 'https://nobody.example.com') },
      { error: 'unapproved_software_statement', reason: /nobody\.example\.com/ },
    );
  });

  it.each([undefined, 42, '', 'text', {}])('is none: %j', async (software_statement) => {
    await expectRefusal(
      { body: { software_statement } },
      { error: 'invalid_software_statement', reason: /no software statement|compact JWS/ },
    );
  });

  it.each<[Record<string, unknown>, string, RegExp]>([
    [
      { aud: 'the bank' },
      'unapproved_software_statement',
      /org_status is absent, allowed are Active/,
    ],
    [
      { aud: 'the bank', org_status: 'Gone' },
      'unapproved_software_statement',
      /org_status is "Gone"/,
    ],
    [{ aud: 'another', org_status: 'Active' }, 'invalid_software_statement', /aud is "another"/],
    [
      { aud: 'the bank', org_status: 'Active', org_id: 'org-2' },
      'unapproved_software_statement',
      /organizationIdentifier of the certificate is "OFBBR-org-1", org_id of the statement wants "OFBBR-org-2"/,
    ],
  ])('does not have what its directory demands: %j', async (claims, error, reason) => {
    await expectRefusal({ body: await body({}, { claims }, strictDirectory) }, { error, reason });
  });

  it('comes while the keys of its directory can not be had', async () => {
    await expectRefusal(
      { body: await body({}, {}, brokenDirectory) },
      { error: 'invalid_software_statement', reason: /keys of https:\/\/broken\.example\.com/ },
    );
  });

  it.each([[['CBPII']], [[]], [['__proto__']], [['constructor']]])(
    'has no role that permits anything: %j',
    async (software_roles) => {
      await expectRefusal(
        { body: await body({}, { claims: { software_roles } }) },
        { error: 'unapproved_software_statement', reason: /known are AISP PISP/ },
      );
    },
  );

  it('has roles that the certificate does not have, where both must say so', async () => {
    await expectRefusal(
      { body: await body({}, {}, certificateDirectory) },
      { error: 'unapproved_software_statement', reason: /of the certificate none/ },
    );
  });
});

describe('A certificate is refused that', () => {
  const invalidToken = (reason: RegExp) => ({ status: 401, error: 'invalid_token', reason });

  it.each<[string, () => Promise<IssuedCertificate>, RegExp]>([
    [
      'has expired',
      () => expiredClientCertificate(server.certificates.authority, { subject: software.subject }),
      /expired/,
    ],
    [
      'is not valid yet',
      () =>
        notYetValidClientCertificate(server.certificates.authority, { subject: software.subject }),
      /not valid before/,
    ],
    [
      'it signed itself',
      () => selfSignedClientCertificate({ subject: software.subject }),
      /chain is not trusted/,
    ],
    [
      'a stranger signed',
      () => clientCertificate(server.certificates.foreignAuthority, { subject: software.subject }),
      /chain is not trusted/,
    ],
    [
      'is for servers',
      () =>
        clientCertificate(server.certificates.authority, {
          subject: software.subject,
          extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
        }),
      /clientAuth|purpose/,
    ],
  ])('%s', async (_name, issue, reason) => {
    await expectRefusal({ certificate: await issue(), body: await body() }, invalidToken(reason));
  });

  it('is not there', async () => {
    const call = { certificate: undefined, body: await body() };
    await expectRefusal(call, invalidToken(/no client certificate/));
    const answer = await callRegistration(server, call);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  it('is no better when the statement is not genuine: nobody is asked for anything', async () => {
    const before = directory.requests.length;
    const call = { certificate: undefined, body: await body({}, { header: { kid: 'new' } }) };
    await expectRefusal(call, invalidToken(/^no client certificate$/));
    expect(directory.requests).toHaveLength(before);
  });

  it('is of another software', async () => {
    const other = await directory.software();
    await expectRefusal(
      { certificate: await softwareCertificate(server, other), body: await body() },
      {
        error: 'unapproved_software_statement',
        reason: new RegExp(`UID of the certificate is "${other.id}".*wants "${software.id}"`),
      },
    );
  });

  it('has the identifier of the software beside another one', async () => {
    const smuggled = await clientCertificate(server.certificates.authority, {
      subject: `UID=${software.id},UID=somebody,C=GB`,
    });
    await expectRefusal(
      { certificate: smuggled, body: await body() },
      { error: 'unapproved_software_statement', reason: /somebody/ },
    );
  });
});

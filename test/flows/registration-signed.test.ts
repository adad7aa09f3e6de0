import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  signedDirectory,
  softwareCertificate,
  strictDirectory,
  testDirectory,
  testKey,
} from '../support/directory.ts';
import type { StatementVariation, TestDirectory, TestSoftware } from '../support/directory.ts';
import { auditOf, rows } from '../support/protocol.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

/** Takes both forms of requests; keys of the software may be in the statement itself. */
const eitherDirectory = 'https://either.example.com';

let directory: TestDirectory;
let server: AuthorizationServer;
let other: AuthorizationServer;
let software: TestSoftware;
let certificate: IssuedCertificate;

beforeAll(async () => {
  directory = await testDirectory([
    {
      issuer: eitherDirectory,
      keys: { file: 'keys.json' },
      algorithms: ['ES256'],
      maxAgeSeconds: 300,
      body: 'either',
      roles: { AISP: { [accountsApi]: ['accounts'] } },
      certificate: [{ attribute: 'CN', claim: 'software_id' }],
      onePerSoftware: false,
      profile: 'baseline',
    },
  ]);
  const { environment } = directory;
  server = await startAuthorizationServer({ environment });
  other = await startAuthorizationServer({ environment, beside: server });
  software = await directory.software({ audience: server.issuer });
  certificate = await softwareCertificate(server, software);
});

afterAll(async () => {
  await other.stop();
  await server.stop();
  await directory.close();
});

async function signedBody(
  variation: StatementVariation = {},
  { issuer = signedDirectory, statement }: { issuer?: string; statement?: StatementVariation } = {},
): Promise<string> {
  const software_statement = await software.statement(issuer, statement);
  const members = { software_statement, grant_types: ['client_credentials'] };
  return software.signed(members, variation);
}

describe('A request that the software signed', () => {
  it.each(['application/jwt', 'application/jose'])('registers it as %s', async (contentType) => {
    const body = await signedBody();
    const answer = await callRegistration(server, { certificate, body, contentType });
    expect(answer).toMatchObject({
      status: 201,
      body: { software_id: software.id, grant_types: ['client_credentials'] },
    });
    for (const member of ['iss', 'aud', 'exp', 'jti', 'iat']) {
      expect(answer.body).not.toHaveProperty(member);
    }
  });

  it('may be signed with a key that the statement itself holds', async () => {
    const claims = {
      software_jwks_uri: undefined,
      software_jwks: { keys: [software.key.publicJwk] },
    };
    const body = await signedBody({}, { issuer: eitherDirectory, statement: { claims } });
    expect((await callRegistration(server, { certificate, body })).status).toBe(201);
  });

  it('updates the registration, without a client_id', async () => {
    const { body: told } = await callRegistration(server, {
      certificate,
      body: await signedBody(),
    });
    const call = {
      method: 'PUT',
      clientId: String(told['client_id']),
      token: String(told['registration_access_token']),
      certificate,
    };
    const updated = await callRegistration(server, { ...call, body: await signedBody() });
    expect(updated.status).toBe(200);
    const foreign = await signedBody({ claims: { client_id: 'another' } });
    const refused = await callRegistration(server, { ...call, body: foreign });
    expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_client_metadata']);
  });

  it('works once, however often it comes, also on another process', async () => {
    const body = await signedBody();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_none, index) =>
        callRegistration(index % 2 === 0 ? server : other, { certificate, body }),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([201, ...Array.from({ length: 9 }, () => 400)]);
    const before = await registered(server);
    const again = await callRegistration(server, { certificate, body });
    expect([again.status, again.body['error']]).toEqual([400, 'invalid_client_metadata']);
    expect(String((await auditOf(server, again))[0]?.detail['reason'])).toMatch(/jti came before/);
    expect(await registered(server)).toBe(before);
  });

  it('may be sent again when it was refused', async () => {
    const body = await signedBody();
    const foreign = await softwareCertificate(server, await directory.software());
    expect((await callRegistration(server, { certificate: foreign, body })).status).toBe(400);
    expect((await callRegistration(server, { certificate, body })).status).toBe(201);
  });
});

describe('A software of which a client is suspended', () => {
  it('registers no other client until it is active again, and is told nothing of it', async () => {
    const of = async (one: TestSoftware) =>
      one.signed({
        software_statement: await one.statement(signedDirectory),
        grant_types: ['client_credentials'],
      });
    const mine = await directory.software({ audience: server.issuer });
    const presented = await softwareCertificate(server, mine);
    const register = async () =>
      callRegistration(server, { certificate: presented, body: await of(mine) });
    const first = await register();
    expect([first.status, (await register()).status]).toEqual([201, 201]);
    const { clients } = server.running.app;
    const id = String(first.body['client_id']);
    await clients.setStatus(id, 'suspended');
    const before = await rows(server, 'SELECT id FROM clients ORDER BY id');
    const refused = await register();
    expect([refused.status, refused.body['error']]).toEqual([400, 'unapproved_software_statement']);
    expect(refused.text).not.toContain('suspended');
    expect((await auditOf(server, refused))[0]?.detail['reason']).toBe(
      `a client of software ${mine.id} of ${signedDirectory} is suspended`,
    );
    expect(await rows(server, 'SELECT id FROM clients ORDER BY id')).toEqual(before);
    const theirs = { certificate, body: await of(software) };
    expect((await callRegistration(server, theirs)).status).toBe(201);
    await clients.setStatus(id, 'active');
    expect((await register()).status).toBe(201);
  });
});

describe('A signed request is refused that', () => {
  const now = () => epochSeconds(systemClock);

  it.each<[string, () => Promise<StatementVariation> | StatementVariation, RegExp]>([
    [
      'another key signed',
      async () => ({ key: (await testKey('x')).privateKey }),
      /signature verification failed/,
    ],
    [
      'names a key that the software does not have',
      () => ({ header: { kid: 'x' } }),
      /no applicable/,
    ],
    [
      'is signed with the public key as a secret',
      () => ({
        key: Buffer.from(JSON.stringify(software.key.publicJwk)),
        header: { alg: 'HS256' },
      }),
      /signature/,
    ],
    ['is of another software', () => ({ claims: { iss: 'somebody' } }), /iss of the request/],
    ['is for another server', () => ({ claims: { aud: 'https://other.example' } }), /aud of the/],
    [
      'is for others as well',
      () => ({ claims: { aud: [server.issuer, 'https://other.example'] } }),
      /aud of the/,
    ],
    ['is for an empty list', () => ({ claims: { aud: [] } }), /aud of the/],
    [
      'is a DPoP proof',
      () => ({ header: { typ: 'dpop+jwt' } }),
      /typ is "dpop\+jwt" in the header/,
    ],
    ['is for nobody', () => ({ claims: { aud: undefined } }), /aud of the request/],
    ['has expired', () => ({ claims: { exp: now() - 1 } }), /exp of the request/],
    ['never expires', () => ({ claims: { exp: undefined } }), /exp of the request/],
    ['lives for ever', () => ({ claims: { exp: now() + 86_400 } }), /exp of the request/],
    ['is from the future', () => ({ claims: { iat: now() + 120 } }), /iat of the request/],
    ['could come again', () => ({ claims: { jti: undefined } }), /jti/],
    ['has a number as identifier', () => ({ claims: { jti: 7 } }), /jti/],
  ])('%s', async (_name, vary, reason) => {
    const before = await registered(server);
    const body = await signedBody(await vary());
    const answer = await callRegistration(server, { certificate, body });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_client_metadata']);
    expect(String((await auditOf(server, answer))[0]?.detail['reason'])).toMatch(reason);
    expect(await registered(server)).toBe(before);
  });

  it('is not signed at all', async () => {
    const [, claims = ''] = (await signedBody()).split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    for (const body of [`${header}.${claims}.`, `${header}.${claims}.AAAA`]) {
      const answer = await callRegistration(server, { certificate, body });
      expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_client_metadata']);
    }
  });

  it('has a statement that is not genuine, and then asks nobody for keys', async () => {
    const { privateKey } = await testKey('directory-1');
    const claims = { software_jwks_uri: `${directory.origin}/lure` };
    const body = await signedBody({}, { statement: { key: privateKey, claims } });
    const answer = await callRegistration(server, { certificate, body });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_software_statement']);
    expect(directory.requests).not.toContain('/lure');
  });

  it("comes while the software's keys can not be had", async () => {
    const claims = { software_jwks_uri: `${directory.origin}/nowhere` };
    const answer = await callRegistration(server, {
      certificate,
      body: await signedBody({}, { statement: { claims } }),
    });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_client_metadata']);
    expect(String((await auditOf(server, answer))[0]?.detail['reason'])).toMatch(/answered 404/);
  });

  it('is JSON at a directory that wants it plain', async () => {
    const body = await signedBody({}, { issuer: strictDirectory });
    const answer = await callRegistration(server, { certificate, body });
    expect(answer.status).toBe(400);
  });
});

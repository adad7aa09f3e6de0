import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { testDirectory } from '../support/directory.ts';
import type { TestDirectory } from '../support/directory.ts';
import { auditOf } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const both = 'https://both.example.com';
const certificateOnly = 'https://qwac.example.com';
const misconfigured = 'https://misconfigured.example.com';

let directory: TestDirectory;
let server: AuthorizationServer;

beforeAll(async () => {
  const accounts = { [accountsApi]: ['accounts'] };
  const payments = { [accountsApi]: ['payments'] };
  const usual = {
    keys: { file: 'keys.json' },
    algorithms: ['ES256'],
    maxAgeSeconds: 300,
    roles: { AISP: accounts, PISP: payments, PSP_AI: accounts, PSP_PI: payments },
    certificate: [{ attribute: 'UID', claim: 'software_id' }],
    profile: 'baseline',
  };
  directory = await testDirectory([
    { ...usual, issuer: both, rolesFrom: 'both' },
    { ...usual, issuer: certificateOnly, rolesFrom: 'certificate' },
    { ...usual, issuer: misconfigured, roles: { AISP: { 'https://gone.example.com': ['x'] } } },
  ]);
  server = await startAuthorizationServer({ environment: directory.environment });
});

afterAll(async () => {
  await server.stop();
  await directory.close();
});

const sequence = (...value: asn1js.BaseBlock[]) => new asn1js.Sequence({ value });

type Role = [number: number, name: string];

/** A QWAC's statements; ETSI TS 119 495 §5.1: the roles of a payment service provider, by their last number. */
const psd2 = (...roles: Role[]) => statementsFor('web', roles);

/** ETSI EN 319 412-5 §4.2.3. */
const uses = { esign: 1, eseal: 2, web: 3 } as const;

function statementsFor(use: keyof typeof uses | undefined, roles: Role[]): Buffer {
  const entries = roles.map(([number, name]) =>
    sequence(
      new asn1js.ObjectIdentifier({ value: `0.4.0.19495.1.${String(number)}` }),
      new asn1js.Utf8String({ value: name }),
    ),
  );
  const authority = ['Financial Conduct Authority', 'GB-FCA'].map(
    (value) => new asn1js.Utf8String({ value }),
  );
  const type = sequence(sequence(...entries), ...authority);
  const statements = new pkijs.QCStatements();
  const id = (last: number) =>
    new asn1js.ObjectIdentifier({ value: `0.4.0.1862.1.6.${String(last)}` });
  statements.values = [
    new pkijs.QCStatement({ id: '0.4.0.19495.2', type }),
    ...(use === undefined
      ? []
      : [new pkijs.QCStatement({ id: '0.4.0.1862.1.6', type: sequence(id(uses[use])) })]),
  ];
  return Buffer.from(statements.toSchema().toBER());
}

const accountInformation: Role = [3, 'PSP_AI'];
const paymentInitiation: Role = [2, 'PSP_PI'];

async function register(
  issuer: string,
  software_roles: string[],
  { statement, members = {} }: { statement?: Buffer; members?: object } = {},
): Promise<Answer> {
  const software = await directory.software();
  const extensions =
    statement === undefined ? [] : [{ id: '1.3.6.1.5.5.7.1.3', critical: false, value: statement }];
  const { authority } = server.certificates;
  const { subject } = software;
  const certificate = await clientCertificate(authority, { subject, extensions });
  const body = {
    software_statement: await software.statement(issuer, { claims: { software_roles } }),
    ...members,
  };
  return callRegistration(server, { certificate, body });
}

describe('The roles of a qualified certificate', () => {
  it('decide alone where the directory leaves it to them', async () => {
    const answer = await register(certificateOnly, [], { statement: psd2(paymentInitiation) });
    expect(answer.body).toMatchObject({ scope: 'openid payments' });
    const statement = psd2(paymentInitiation, accountInformation);
    const all = await register(certificateOnly, ['AISP'], { statement });
    expect(all.body).toMatchObject({ scope: 'openid payments accounts' });
  });

  it('and those of the statement permit only what both do', async () => {
    const all = { statement: psd2(paymentInitiation, accountInformation) };
    expect((await register(both, ['AISP'], all)).body).toMatchObject({ scope: 'openid accounts' });
    const one = { statement: psd2(accountInformation) };
    const answer = await register(both, ['AISP', 'PISP'], one);
    expect(answer.body).toMatchObject({ scope: 'openid accounts' });
  });

  it.each<[string, Buffer | undefined]>([
    ['none', undefined],
    ['others', psd2(paymentInitiation)],
    ['those of a QSealC', statementsFor('eseal', [accountInformation])],
    ['those of a certificate for persons', statementsFor('esign', [accountInformation])],
    ['those of a certificate for nothing stated', statementsFor(undefined, [accountInformation])],
    ['unreadable ones', Buffer.from('30033003', 'hex')],
  ])('permit nothing when they are %s', async (_name, statement) => {
    const before = await registered(server);
    const given = statement === undefined ? {} : { statement };
    const answer = await register(both, ['AISP'], given);
    expect([answer.status, answer.body['error']]).toEqual([400, 'unapproved_software_statement']);
    const [event] = await auditOf(server, answer);
    expect(event?.detail['reason']).toMatch(/no role permits anything/);
    expect(await registered(server)).toBe(before);
  });
});

describe('The authorization details in which a client may ask', () => {
  const detail = {
    type: 'account_information',
    permissions: ['account-details'],
    expires_at: new Date(Date.now() + 86_400_000).toISOString(),
  };

  async function opened({ body }: Answer) {
    const url = new URL('/authorize', server.issuer);
    const [redirectUri] = body['redirect_uris'] as string[];
    url.search = new URLSearchParams({
      ...{ client_id: String(body['client_id']), redirect_uri: redirectUri ?? '' },
      ...{ response_type: 'code', scope: 'openid', nonce: 'n', state: 's' },
      ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' },
      authorization_details: JSON.stringify([detail]),
    }).toString();
    return createCustomerAgent(server).open(url.href);
  }

  it('are those that its roles allow and it asks for', async () => {
    const types = ['account_information', 'payment_initiation'];
    const statement = psd2(paymentInitiation, accountInformation);
    const members = { authorization_details_types: types };
    const asking = await register(certificateOnly, [], { statement, members });
    expect(asking.body['authorization_details_types']).toEqual(types);
    expect((await opened(asking)).html).toContain('name="password"');
    const silent = await register(certificateOnly, [], { statement });
    expect(silent.body).not.toHaveProperty('authorization_details_types');
    const { url } = await opened(silent);
    expect(new URL(url).searchParams.get('error')).toBe('invalid_authorization_details');
    const one = { statement: psd2(accountInformation), members };
    const beyond = await register(certificateOnly, [], one);
    expect([beyond.status, beyond.body['error']]).toEqual([400, 'invalid_client_metadata']);
  });
});

describe('A role that permits a resource server which does not exist', () => {
  it("is the operator's fault, and registers nobody", async () => {
    const before = await registered(server);
    const answer = await register(misconfigured, ['AISP']);
    expect([answer.status, answer.body['error']]).toEqual([500, 'server_error']);
    expect(await registered(server)).toBe(before);
    expect(await server.log.raw()).toContain('permits a resource server that does not exist');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { softwareCertificate, testDirectory } from '../support/directory.ts';
import type { TestDirectory } from '../support/directory.ts';
import { auditOf, rows } from '../support/protocol.ts';
import { callRegistration } from '../support/registering.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let directory: TestDirectory;
let server: AuthorizationServer;
let other: AuthorizationServer;

beforeAll(async () => {
  directory = await testDirectory();
  const { environment } = directory;
  server = await startAuthorizationServer({ environment });
  other = await startAuthorizationServer({ environment, beside: server });
});

afterAll(async () => {
  await other.stop();
  await server.stop();
  await directory.close();
});

describe('A software that may be registered once', () => {
  it('is registered once, however many ask at once on two processes', async () => {
    const software = await directory.software();
    const certificate = await softwareCertificate(server, software);
    const statements = await Promise.all(Array.from({ length: 50 }, () => software.statement()));
    const answers = await Promise.all(
      statements.map((software_statement, index) =>
        callRegistration(index % 2 === 0 ? server : other, {
          certificate,
          body: { software_statement },
        }),
      ),
    );
    const told = answers.map(({ status, body }) => [status, body['error']].join(' '));
    expect(told.filter((one) => one.startsWith('201'))).toHaveLength(1);
    expect(told.filter((one) => one === '400 unapproved_software_statement')).toHaveLength(49);
    const found = await rows(
      server,
      `SELECT count(*)::int AS count FROM clients WHERE metadata->>'software_id' = $1`,
      [software.id],
    );
    expect(found).toEqual([{ count: 1 }]);
    const late = answers.find(({ status }) => status === 400);
    if (late === undefined) throw new Error('nobody was late');
    const events = [...(await auditOf(server, late)), ...(await auditOf(other, late))];
    expect(events[0]?.detail['reason']).toBe(
      `software ${software.id} of https://directory.example.com is registered already`,
    );
  });

  it('keeps its one registration in the face of another certificate of the same software', async () => {
    const software = await directory.software();
    const [first, second] = [
      await softwareCertificate(server, software),
      await softwareCertificate(server, software),
    ];
    const body = async () => ({ software_statement: await software.statement() });
    expect(
      (await callRegistration(server, { certificate: first, body: await body() })).status,
    ).toBe(201);
    const again = await callRegistration(server, { certificate: second, body: await body() });
    expect([again.status, again.body['error']]).toEqual([400, 'unapproved_software_statement']);
  });
});

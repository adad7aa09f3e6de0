import { expect, it } from 'vitest';
import { softwareCertificate, testDirectory } from '../support/directory.ts';
import { post } from '../support/protocol.ts';
import { callRegistration } from '../support/registering.ts';
import { startAuthorizationServer } from '../support/server.ts';

const managementApi = 'https://management.example.com';
const issuer = 'https://managed.example.com';

it('A client below the least profile manages nothing with an access token from before', async () => {
  const directory = await testDirectory([
    {
      issuer,
      keys: { file: 'keys.json' },
      algorithms: ['ES256'],
      maxAgeSeconds: 300,
      roles: { AISP: { [managementApi]: ['registration'] } },
      certificate: [{ attribute: 'UID', claim: 'software_id' }],
      profile: 'baseline',
    },
  ]);
  const environment = {
    ...directory.environment,
    COUNTERSIGN_REGISTRATION_RESOURCE: managementApi,
    COUNTERSIGN_REGISTRATION_SCOPE: 'registration',
  };
  const scopes = { registration: { en: 'Manage' } };
  const resourceServers = [{ identifier: managementApi, name: 'Registration', scopes }];
  const server = await startAuthorizationServer({ environment, resourceServers });
  const strict = await startAuthorizationServer({
    beside: server,
    environment: { ...environment, COUNTERSIGN_MINIMUM_PROFILE: 'fapi2' },
  });
  try {
    const software = await directory.software();
    const certificate = await softwareCertificate(server, software);
    const software_statement = await software.statement(issuer);
    const body = { software_statement, grant_types: ['client_credentials'] };
    const client = await callRegistration(server, { certificate, body });
    const clientId = String(client.body['client_id']);
    const scope = { scope: 'registration', resource: managementApi };
    const form = { grant_type: 'client_credentials', client_id: clientId, ...scope };
    const issued = await post(server.fetch(certificate), `${server.mtlsOrigin}/token`, { form });
    const token = String(issued.body['access_token']);
    const request = { method: 'GET', clientId, certificate, token };
    expect((await callRegistration(server, request)).status).toBe(200);
    const answer = await callRegistration(strict, request);
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_token']);
  } finally {
    await strict.stop();
    await server.stop();
    await directory.close();
  }
});

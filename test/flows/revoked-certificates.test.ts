import { once } from 'node:events';
import { Agent } from 'node:https';
import type { Socket } from 'node:net';
import * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { callbacks, obtainTokens } from '../support/journey.ts';
import { testDirectory } from '../support/directory.ts';
import type { TestDirectory } from '../support/directory.ts';
import { discover } from '../support/openid.ts';
import { auditOf, post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { callRegistration } from '../support/registering.ts';
import { namesLists, revocationList, startRevocationServer } from '../support/revocation.ts';
import type { RevocationServer } from '../support/revocation.ts';
import { startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { get, presenting } from '../support/tls-servers.ts';

let server: AuthorizationServer;
let lists: RevocationServer;
let directory: TestDirectory;
let number = 0;
/** How far the server's clock is ahead. */
let seconds = 0;

beforeAll(async () => {
  [lists, directory] = await Promise.all([startRevocationServer(), testDirectory()]);
  const { environment } = directory;
  server = await startAuthorizationServer({
    clock: { now: () => new Date(systemClock.now().getTime() + seconds * 1000) },
    environment: {
      ...environment,
      COUNTERSIGN_OUTBOUND_ALLOW: `${environment['COUNTERSIGN_OUTBOUND_ALLOW'] ?? ''},${lists.host}`,
      COUNTERSIGN_REVOCATION_CEILING: '60',
    },
  });
});

beforeEach(() => {
  number += 1;
});

afterAll(async () => {
  await server.stop();
  await Promise.all([lists.close(), directory.close()]);
});

/** The TPP with a list of its own, on which it is or is not. */
async function tppOnList(subject = tppSubject): Promise<{
  tpp: IssuedCertificate;
  url: string;
  publish: (revoked: readonly IssuedCertificate[]) => Promise<void>;
}> {
  const at = `/list-${String(number)}`;
  const { authority } = server.certificates;
  const tpp = await clientCertificate(authority, {
    subject,
    extensions: [namesLists(lists.url(at))],
  });
  return {
    tpp,
    url: lists.url(at),
    async publish(revoked) {
      lists.documents.set(at, await revocationList(authority, { revoked, reason: 1 }));
    },
  };
}

function requestToken(certificate: IssuedCertificate): Promise<Answer> {
  const form = { grant_type: 'client_credentials', client_id: 'tpp', scope: 'accounts' };
  return post(server.fetch(certificate), `${server.mtlsOrigin}/token`, { form });
}

async function expectRefused(answer: Answer, reason: string): Promise<void> {
  expect([answer.status, answer.body]).toEqual([
    401,
    { error: 'invalid_client', error_description: 'client authentication failed' },
  ]);
  expect(await auditOf(server, answer)).toMatchObject([
    {
      type: 'client.authentication_failed',
      client_id: 'tpp',
      detail: { error: 'invalid_client', reason: expect.stringContaining(reason) as string },
    },
  ]);
}

async function metric(name: string): Promise<number> {
  const response = await fetch(`${server.operationsOrigin}/metrics`);
  const lines = (await response.text()).split('\n');
  return Number(
    lines
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? 0,
  );
}

describe("A TPP's certificate", () => {
  it('opens the token endpoint when its list does not have it', async () => {
    const { tpp, publish } = await tppOnList();
    await publish([]);
    expect(await requestToken(tpp)).toMatchObject({ status: 200 });
  });

  it('that was revoked is refused, and the audit trail says why', async () => {
    const { tpp, url, publish } = await tppOnList();
    await publish([tpp]);
    await expectRefused(await requestToken(tpp), `revoked: key compromise (${url})`);
    expect(await metric('countersign_revocation_checks_total{outcome="revoked"}')).toBeGreaterThan(
      0,
    );
    expect(await metric('countersign_revocation_list_age_seconds')).toBeGreaterThan(3500);
  });

  it('whose list is away is refused, and the audit trail says why', async () => {
    const { tpp } = await tppOnList();
    const answer = await requestToken(tpp);
    await expectRefused(answer, 'revocation is unknown');
    const [event] = await auditOf(server, answer);
    const { reason } = event?.['detail'] as { reason: string };
    expect(reason).toMatch(/^revocation is unknown: /);
    expect(reason).not.toContain('not provided');
    expect(await metric('countersign_revocation_failures_total{method="crl"}')).toBeGreaterThan(0);
  });
});

describe('A registration', () => {
  it('is refused with a certificate that was revoked', async () => {
    const software = await directory.software({ audience: server.issuer });
    const { tpp, publish } = await tppOnList(software.subject);
    await publish([tpp]);
    const body = { software_statement: await software.statement() };
    const answer = await callRegistration(server, { certificate: tpp, body });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.text).not.toContain('revoked');
    expect(await auditOf(server, answer)).toMatchObject([
      {
        type: 'client.registration_refused',
        detail: { reason: expect.stringContaining('revoked: key compromise') as string },
      },
    ]);
    await publish([]);
    seconds += 61;
    const accepted = { software_statement: await software.statement() };
    const again = await callRegistration(server, { certificate: tpp, body: accepted });
    expect([again.status, again.body['error']]).toEqual([201, undefined]);
  });
});

describe('A bound token', () => {
  it('stops to open userinfo on a kept connection once the certificate was revoked', async () => {
    const { tpp, publish } = await tppOnList();
    await publish([]);
    const configuration = await discover(server, {
      id: 'tpp',
      authentication: openid.TlsClientAuth(),
      certificate: tpp,
    });
    const { access_token } = await obtainTokens(server, configuration, {
      parameters: { redirect_uri: callbacks.tpp, scope: 'openid accounts' },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<Socket>();
    agent.on('free', (socket: Socket) => sockets.add(socket));
    const ask = async () => {
      const freed = once(agent, 'free');
      const answer = await get(server.running.ports.mtls, {
        ...presenting(tpp),
        ...{ agent, path: '/userinfo', servername: 'localhost' },
        ca: server.certificates.authority.certificatePem,
        headers: {
          host: new URL(server.mtlsOrigin).host,
          authorization: `Bearer ${access_token}`,
        },
      });
      await freed;
      return answer;
    };
    expect(await ask()).toMatchObject({ status: 200, body: { sub: server.customer.id } });
    await publish([tpp]);
    seconds += 61;
    expect(await ask()).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
    expect(sockets.size).toBe(1);
    agent.destroy();
  });
});

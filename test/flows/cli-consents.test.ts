import * as openid from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import {
  chooseFirst,
  consentPageOf,
  intentRequest,
  lodgeAccess,
  startConsentServer,
  ukStatusOf,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { rows } from '../support/protocol.ts';

let world: ConsentServer;
let cli: CommandLine;

beforeAll(async () => {
  world = await startConsentServer();
  cli = await commandLineBeside(world.server);
});

afterAll(async () => {
  await cli.remove();
  await world.server.stop();
});

it('An operator sees a customer’s consents and ends one when the customer asks', async () => {
  const { server, tpp } = world;
  const id = await lodgeAccess(tpp);
  const request = await intentRequest(tpp, id);
  const { agent, page } = await consentPageOf(server, request.url);
  const done = await agent.submit(page, { ...chooseFirst(page), decision: 'allow' });
  const { configuration } = tpp;
  const tokens = await openid.authorizationCodeGrant(
    configuration,
    new URL(done.url),
    request.checks,
  );

  const listed = await cli.run(['consents', 'list', server.customer.username, '--json']);
  expect(listed.json()['consents']).toMatchObject([{ id, clientId: 'aisp', state: 'authorised' }]);
  const shown = await cli.run(['consents', 'show', id]);
  expect(shown.output).toMatch(/authorise\s+authorised\s+customer/);
  const revoked = await cli.run(['consents', 'revoke', id]);
  expect(revoked).toMatchObject({ exitCode: 0, errors: '' });

  expect(await ukStatusOf(tpp, id)).toBe('CANC');
  await expect(
    openid.refreshTokenGrant(configuration, tokens.refresh_token ?? ''),
  ).rejects.toMatchObject({ error: 'invalid_grant' });
  const audited = await rows(
    server,
    `SELECT actor_type FROM audit_events WHERE type = 'consent.revoked' AND detail->>'consent' = $1`,
    [id],
  );
  expect(audited).toEqual([{ actor_type: 'operator' }]);
});

it('Without a consent, a customer or access that could end, a command fails', async () => {
  const id = await lodgeAccess(world.tpp);
  const undecided = await cli.run(['consents', 'revoke', id]);
  expect(undecided.exitCode).toBe(1);
  const unknown = await cli.run(['consents', 'show', 'urn:countersign:consent:unknown']);
  expect(unknown.errors).toContain('There is no such consent');
  const nobody = await cli.run(['consents', 'list', 'nobody']);
  expect(nobody.exitCode).toBe(1);
});

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvidenceBundle } from '../../src/consents/evidence/evidence-files.ts';
import { sha256 } from '../../src/security/secrets.ts';
import { pageOf } from '../support/account-pages.ts';
import { commandLine, commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import {
  journeysOf,
  lodgeAccess,
  lodgePayment,
  opaqueBankApi,
  startConsentServer,
  ukAccess,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { databaseText, rows, send } from '../support/protocol.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let world: ConsentServer;
let cli: CommandLine;
/** Somewhere else: without database, keys or settings. */
let auditor: CommandLine;
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let id: string;
let jwt: openid.TokenEndpointResponse;
let opaque: openid.TokenEndpointResponse;
let first: Exported;

beforeAll(async () => {
  world = await startConsentServer();
  cli = await commandLineBeside(world.server);
  auditor = await commandLine();
  folder = await temporaryDirectory();
  const journeys = journeysOf(world);
  id = await lodgeAccess(world.tpp);
  ({ tokens: jwt } = await journeys.tokensUnder(id));
  ({ tokens: opaque } = await journeys.tokensUnder(id, { resource: opaqueBankApi }));
  await openid.refreshTokenGrant(world.tpp.configuration, jwt.refresh_token ?? '');
  await world.tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
  await world.server.running.app.audit.flush();
  first = await exported();
});

afterAll(async () => {
  await auditor.remove();
  await cli.remove();
  await folder.remove();
  await world.server.stop();
});

const inFolder = (name: string) => path.join(folder.path, name);

/** The evidence in a file, and the key set that was published then in another. */
interface Exported {
  evidence: string;
  file: string;
  keySet: string;
}

async function exported(): Promise<Exported> {
  const { output, errors, exitCode } = await cli.run(['consents', 'evidence', id], '', {
    COUNTERSIGN_ISSUER: world.server.issuer,
  });
  expect([exitCode, errors]).toEqual([0, '']);
  const [file, keySet] = [inFolder('evidence.jws'), inFolder('jwks.json')];
  await writeFile(file, output);
  await writeFile(keySet, await publishedKeys());
  return { evidence: output.trim(), file, keySet };
}

/** Every text in a JSON value. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

const publishedKeys = async () =>
  (await send(world.server.fetch(), `${world.server.issuer}/jwks`)).text;

const verify = (file: string, keySet: string, more: string[] = []) =>
  auditor.run(['consents', 'verify-evidence', file, '--jwks', keySet, ...more]);

/** What the verifier says of such a document. */
async function verdictOf(evidence: string, keySet = first.keySet): Promise<unknown[]> {
  const file = inFolder('judged.jws');
  await writeFile(file, evidence);
  const { exitCode, errors } = await verify(file, keySet);
  return [exitCode, errors];
}

/** The same by the keys of now: another test may have rotated them. */
async function verdictNow(evidence: string): Promise<unknown[]> {
  const keySet = inFolder('jwks-now.json');
  await writeFile(keySet, await publishedKeys());
  return verdictOf(evidence, keySet);
}

describe('The evidence for a consent', () => {
  it('has everything that proves it, verified far from the server', async () => {
    const { server, tpp } = world;
    const told = await verify(first.file, first.keySet, ['--json']);
    expect([told.exitCode, told.errors]).toEqual([0, '']);
    const { bundle } = told.json() as { bundle: EvidenceBundle };
    expect(bundle).toMatchObject({
      iss: server.issuer,
      consent: { id, client_id: 'aisp', customer_id: server.customer.id, state: 'revoked' },
    });
    expect(bundle.history.map(({ move }) => move)).toEqual([
      ...['create', 'authorise', 'reauthenticate', 'revoke'],
    ]);
    const [lodged, authorised] = bundle.history;
    expect(lodged?.lodged).toMatchObject({
      type: 'accounts',
      permissions: bundle.consent.permissions,
    });
    expect(authorised).toMatchObject({
      address: '127.0.0.1',
      authentication: { amr: ['pwd'], auth_time: expect.any(String) as string },
      accounts: [{ name: 'Current account' }],
      client: { source: 'file', metadata: { client_id: 'aisp', client_name: 'Example Money' } },
      page: { locale: 'en' },
    });
    expect(JSON.parse(authorised?.page?.shown ?? '{}')).toMatchObject({
      clientName: 'Example Money',
      kind: 'accounts',
    });
    const thumbprint = (decodeJwt(jwt.access_token)['cnf'] as Record<string, string>)['x5t#S256'];
    const digestOf = (value: string) => sha256(value).toString('base64url');
    expect(bundle.tokens).toMatchObject([
      { digest: digestOf(String(decodeJwt(jwt.access_token).jti)), bound_to: thumbprint },
      { digest: digestOf(opaque.access_token), format: 'opaque', audience: opaqueBankApi },
      { by: 'refresh_token', format: 'jwt', client_id: tpp.id },
    ]);
  });

  it('has what the customer’s own pages said, word by word', async () => {
    const consentId = await lodgeAccess(world.tpp);
    const { agent } = await journeysOf(world).tokensUnder(consentId);
    const pageAt = (below: string) => agent.open(world.server.issuer + pageOf(consentId, below));
    const change = await pageAt('/change');
    const chosen = [...change.html.matchAll(/name="(account:[^"]+)" value="on"/g)];
    const accounts = Object.fromEntries(chosen.map(([, name = '']) => [name, 'on']));
    await agent.submit(change, { ...accounts, until: '2027-01-31' });
    const withdrawal = await pageAt('/withdraw');
    await agent.submit(withdrawal, {});
    const environment = { COUNTERSIGN_ISSUER: world.server.issuer };
    const { output } = await cli.run(['consents', 'evidence', consentId], '', environment);
    expect(await verdictNow(output)).toEqual([0, '']);
    const { history } = decodeJwt<EvidenceBundle>(output.trim());
    const [changed, withdrawn] = history.slice(-2);
    expect([changed?.move, withdrawn?.move]).toEqual(['change', 'revoke']);
    expect(changed?.accounts).toHaveLength(chosen.length);
    for (const [entry, { html }, count] of [
      [changed, change, 9],
      [withdrawn, withdrawal, 6],
    ] as const) {
      const words = stringsIn(JSON.parse(entry?.page?.shown ?? '{}'));
      expect(words.length).toBeGreaterThanOrEqual(count);
      for (const word of words) expect(html).toContain(word);
    }
  });

  it('of a payment fits what was lodged', async () => {
    const paymentId = await lodgePayment(world.tpp);
    await journeysOf(world).tokensUnder(paymentId, { scope: 'openid payments' });
    const environment = { COUNTERSIGN_ISSUER: world.server.issuer };
    const { output } = await cli.run(['consents', 'evidence', paymentId], '', environment);
    expect(await verdictNow(output)).toEqual([0, '']);
    expect(decodeJwt<EvidenceBundle>(output.trim()).consent.payment).toBeDefined();
  });

  it('has no secrets, and the database none of what was shown in clear', async () => {
    const text = Buffer.from(first.evidence.split('.')[1] ?? '', 'base64url').toString();
    const secrets = [jwt, opaque].flatMap((one) => [one.access_token, one.refresh_token ?? '']);
    for (const secret of secrets) expect(text).not.toContain(secret);
    const stored = await databaseText(world.server);
    expect(stored).not.toContain('Current account');
    expect(stored).not.toContain(Buffer.from('Current account').toString('hex'));
  });

  it('is recorded when it is taken', async () => {
    const found = await rows(
      world.server,
      `SELECT DISTINCT actor_type FROM audit_events
        WHERE type = 'consent.evidenced' AND detail->>'consent' = $1`,
      [id],
    );
    expect(found).toEqual([{ actor_type: 'operator' }]);
  });

  it('comes with its keys as JSON, and verifies after the key has retired', async () => {
    const environment = { COUNTERSIGN_ISSUER: world.server.issuer };
    const { json } = await cli.run(['consents', 'evidence', id, '--json'], '', environment);
    const { evidence, keys } = json() as { evidence: string; keys: Record<string, unknown>[] };
    expect(keys.every((key) => !('d' in key))).toBe(true);
    const [file, kept] = [inFolder('kept.jws'), inFolder('kept.json')];
    await writeFile(file, evidence);
    await writeFile(kept, JSON.stringify({ keys }));
    const rotated = await cli.run(['keys', 'rotate', '--algorithm', 'RS256', '--force']);
    expect(rotated.errors).toBe('');
    const stages = await rows(world.server, `SELECT stage FROM signing_keys WHERE kid = $1`, [
      keys[0]?.['kid'],
    ]);
    expect(stages).toEqual([{ stage: 'retired' }]);
    const published = inFolder('published.json');
    await writeFile(published, await publishedKeys());
    for (const keysAt of [kept, published]) expect((await verify(file, keysAt)).exitCode).toBe(0);
  });

  it('that was changed, or is no evidence, is refused with the reason', async () => {
    const { evidence, file, keySet } = first;
    const [header = '', payload = '', signature = ''] = evidence.split('.');
    const text = Buffer.from(payload, 'base64url').toString().replace('"revoked"', '"expired"');
    const tampered = [header, Buffer.from(text).toString('base64url'), signature].join('.');
    const wrong = inFolder('wrong.jws');
    await writeFile(wrong, tampered);
    const refused = await verify(wrong, keySet);
    expect([refused.exitCode, refused.output]).toEqual([1, '']);
    expect(refused.errors).toContain('The evidence does not hold');
    expect(refused.errors).toContain('something was changed');
    await writeFile(wrong, jwt.access_token);
    expect((await verify(wrong, keySet)).errors).toContain('not as evidence');
    const empty = inFolder('empty.json');
    await writeFile(empty, '{"keys":[]}');
    expect((await verify(file, empty)).errors).toContain('has no key');
    await writeFile(empty, '[]');
    expect((await verify(file, empty)).exitCode).toBe(2);
  });

  it('verifies with the key set at the server’s address', async () => {
    const { file } = first;
    const authority = inFolder('ca.pem');
    await writeFile(authority, world.server.certificates.authority.certificatePem);
    const words = ['consents', 'verify-evidence', file, '--jwks', `${world.server.issuer}/jwks`];
    const told = await auditor.run(words, '', { NODE_EXTRA_CA_CERTS: authority });
    expect([told.exitCode, told.errors]).toEqual([0, '']);
    expect(told.output).toContain(`The evidence for ${id} is genuine`);
    expect(told.output).toContain('confirmed it');
  });

  it('is not there for a consent that is not', async () => {
    const { exitCode, errors } = await cli.run(['consents', 'evidence', `${id}x`]);
    expect(exitCode).toBe(1);
    expect(errors).toContain('There is no such consent');
  });
});

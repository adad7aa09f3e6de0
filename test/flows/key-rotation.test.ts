import { decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { generateKey } from '../../src/signing-keys/key-material.ts';
import { clientCertificate } from '../support/certificates.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { discoverWeb, obtainTokens } from '../support/journey.ts';
import { keySetOf, kidsOf, operatorBeside, verifies } from '../support/key-ring.ts';
import type { Operator } from '../support/key-ring.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { stored } from '../support/stored.ts';
import { introspect, machineTokens } from '../support/tokens.ts';

/** Every process follows within a second, docs/adr/0006 has figures; other tests may have the machine meanwhile. */
const within = { timeout: 5000, interval: 20 };

const day = 86_400_000;

let now: Date;
const clock = { now: () => now };
let first: AuthorizationServer;
let second: AuthorizationServer;
let operator: Operator;

beforeEach(async () => {
  now = new Date();
  first = await startAuthorizationServer({ clock });
  second = await startAuthorizationServer({ clock, beside: first });
  operator = operatorBeside(first, clock);
});

afterEach(async () => {
  await operator.close();
  await second.stop();
  await first.stop();
});

const token = async (at: AuthorizationServer) => (await machineTokens(at, 'web')).jwt;
const kidOf = (jwt: string) => decodeProtectedHeader(jwt).kid;
const stageOf = async (kid: string) =>
  (await operator.rotation.status()).keys.find((key) => key.kid === kid)?.stage;
const at = (days: number) => (now = new Date(now.getTime() + days * day));

async function expectPublished(kid: string): Promise<void> {
  for (const server of [first, second]) {
    await expect.poll(() => kidsOf(server), within).toContain(kid);
  }
}

async function expectUnpublished(kid: string): Promise<void> {
  for (const server of [first, second]) {
    await expect.poll(() => kidsOf(server), within).not.toContain(kid);
  }
}

describe('A rotation', () => {
  it('is followed by every process, and no token stops to verify', async () => {
    const before = await token(first);
    const announced = await operator.rotation.announce('RS256');
    await expectPublished(announced.kid);
    const during = await token(second);
    expect(kidOf(during)).toBe(kidOf(before));
    await operator.rotation.promote(announced.kid);
    for (const server of [first, second]) {
      await expect.poll(async () => kidOf(await token(server)), within).toBe(announced.kid);
    }
    const after = await token(first);
    for (const jwt of [before, during, after]) {
      expect(await verifies(first, jwt)).toBe(true);
      expect(await verifies(second, jwt)).toBe(true);
      expect((await introspect(first, jwt, { at: second })).body).toMatchObject({ active: true });
    }
    expect(operator.acts).toMatchObject([
      { type: 'signing_key.created', detail: { kid: announced.kid, origin: 'operator' } },
      { type: 'signing_key.activated', detail: { kid: announced.kid } },
      { type: 'signing_key.retired', detail: { kid: kidOf(before) } },
    ]);
  });

  it('is followed by a process that can hear of no change', async () => {
    const pooled = `${first.database.connectionString}&pgbouncer=true`;
    const deaf = await startAuthorizationServer({
      ...{ clock, beside: first, environment: { DATABASE_URL: pooled } },
    });
    const { kid } = await operator.rotation.rotate('RS256');
    await expect.poll(async () => kidOf(await token(deaf)), within).toBe(kid);
    await deaf.stop();
    expect((await operator.rotation.status()).processes).toHaveLength(2);
  });

  it('publishes public members only, and says which keys do not sign', async () => {
    await operator.rotation.rotate('RS256');
    const { keys } = await keySetOf(first);
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(
        ['alg', 'e', 'key_ops', 'kid', 'kty', 'n', 'use'].filter((name) => name in key),
      );
      expect(key).not.toHaveProperty('d');
    }
  });

  it('leaves an id_token_hint by a retired key good', async () => {
    const agent = createCustomerAgent(first);
    const parameters = { redirect_uri: 'https://web.example.com/callback', scope: 'openid' };
    const tokens = await obtainTokens(first, await discoverWeb(first), { parameters, agent });
    const { kid } = await operator.rotation.rotate('RS256');
    await expectPublished(kid);
    const hint = new URLSearchParams({ id_token_hint: tokens.id_token ?? '' });
    const page = await first.fetch()(`${first.issuer}/logout?${hint.toString()}`);
    expect(page.status).toBe(200);
    const { kid: later } = await operator.rotation.rotate('RS256');
    await operator.rotation.revoke(String(kidOf(tokens.id_token ?? '')));
    await expectPublished(later);
    await expectUnpublished(String(kidOf(tokens.id_token ?? '')));
    const refused = await first.fetch()(`${first.issuer}/logout?${hint.toString()}`);
    expect(refused.status).toBe(400);
  });

  it('takes over a key that was brought', async () => {
    const brought = await generateKey('RS256');
    await operator.rotation.announce('RS256', brought);
    await operator.rotation.promote(brought.kid);
    await expect.poll(async () => kidOf(await token(first)), within).toBe(brought.kid);
  });
});

describe('A compromised key', () => {
  it('is gone from every process, with everything that it signed', async () => {
    const configuration = await discoverWeb(first);
    const parameters = {
      redirect_uri: 'https://web.example.com/callback',
      scope: 'openid accounts',
    };
    const tokens = await obtainTokens(first, configuration, { parameters });
    const stolen = String(kidOf(tokens.access_token));
    const userinfo = (server: AuthorizationServer) =>
      server.fetch()(`${first.issuer}/userinfo`, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      });
    expect((await userinfo(second)).status).toBe(200);
    const { successor } = await operator.rotation.revoke(stolen);
    await expectUnpublished(stolen);
    for (const server of [first, second]) {
      expect((await introspect(first, tokens.access_token, { at: server })).body).toEqual({
        active: false,
      });
      expect((await userinfo(server)).status).toBe(401);
      expect(await kidsOf(server)).toContain(successor?.kid);
      expect(kidOf(await token(server))).toBe(successor?.kid);
    }
    expect(operator.acts.map(({ type }) => type)).toEqual([
      'signing_key.created',
      'signing_key.revoked',
      'signing_key.activated',
    ]);
  });
});

describe('The schedule', () => {
  it('announces, promotes, retires and destroys by itself, once for all processes', async () => {
    const old = String(kidOf(await token(first)));
    at(76);
    await expect.poll(async () => (await kidsOf(first)).length, within).toBe(2);
    const next = (await kidsOf(first)).find((kid) => kid !== old) ?? '';
    expect(await stageOf(next)).toBe('announced');
    await expectPublished(next);
    expect(kidOf(await token(second))).toBe(old);
    at(14);
    await expect.poll(async () => kidOf(await token(second)), within).toBe(next);
    expect(await stageOf(old)).toBe('retired');
    now = new Date(now.getTime() + 3600_000 + 299_000);
    expect(await kidsOf(first)).toContain(old);
    now = new Date(now.getTime() + 1000);
    await expectUnpublished(old);
    expect(await stageOf(old)).toBe('destroyed');
    const acts = async () => {
      const sql = `SELECT type FROM audit_events WHERE type LIKE 'signing_key.%' ORDER BY type`;
      return (await stored<{ type: string }>(first, sql)).map(({ type }) => type);
    };
    await expect
      .poll(() => acts(), within)
      .toEqual([
        'signing_key.activated',
        'signing_key.created',
        'signing_key.created',
        'signing_key.destroyed',
        'signing_key.retired',
      ]);
  });
});

describe('Promotion', () => {
  const subject = 'CN=balances,O=Example Bank,C=GB';
  const balances = 'https://balances.example.com';
  const labelled = `?resource_server=${encodeURIComponent(balances)}`;
  const address = '127.0.0.1';
  let certificate: IssuedCertificate;

  beforeEach(async () => {
    const metadata = {
      client_id: 'balances-rs',
      grant_types: [],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: subject,
    } as const;
    const { clients, resourceServers } = first.running.app;
    await clients.save({
      metadata: parseClientMetadata(metadata),
      permissions: {},
      source: 'operator',
    });
    const known = await resourceServers.find(accountsApi);
    if (known === undefined) throw new Error('there is no accounts API');
    const names = { identifier: balances, introspectionClientId: 'balances-rs' };
    await resourceServers.save({ ...known, ...names });
    certificate = await clientCertificate(first.certificates.authority, { subject });
  });

  const fetchAs = async (who: IssuedCertificate | undefined, query: string) => {
    const origin = who === undefined ? first.issuer : first.mtlsOrigin;
    await (await first.fetch(who)(`${origin}/jwks${query}`)).text();
  };
  const known = async () =>
    (await operator.rotation.status()).readers.map(({ kind, name, proven, seen }) => ({
      ...{ kind, name, proven },
      fetches: seen.length,
    }));

  it('waits until every proven resource server has fetched the announced key', async () => {
    await fetchAs(certificate, labelled);
    const mine = { kind: 'resource-server', name: balances, proven: true };
    await expect.poll(known, within).toEqual([{ ...mine, fetches: 1 }]);
    const { kid } = await operator.rotation.announce('RS256');
    await expectPublished(kid);
    const refusal = `${kid} has not been fetched by ${balances}: wait`;
    await expect(operator.rotation.promote(kid)).rejects.toThrow(refusal);
    // Who only says that it is this resource server, or has another certificate, does not hasten it.
    await fetchAs(undefined, labelled);
    await fetchAs(first.tpp, labelled);
    await expect
      .poll(known, within)
      .toContainEqual({ kind: 'label', name: balances, proven: false, fetches: 2 });
    await expect(operator.rotation.promote(kid)).rejects.toThrow(refusal);
    await fetchAs(certificate, labelled);
    await expect
      .poll(() => operator.rotation.promote(kid).then(({ stage }) => stage, String), within)
      .toBe('active');
  });

  it('is not held up by those who prove nothing, and the status shows them', async () => {
    await fetchAs(undefined, `?resource_server=${encodeURIComponent(accountsApi)}`);
    await fetchAs(first.tpp, '');
    await fetchAs(certificate, '');
    await expect.poll(known, within).toEqual([
      { kind: 'certificate', name: subject, proven: false, fetches: 1 },
      { kind: 'certificate', name: tppSubject, proven: false, fetches: 1 },
      { kind: 'label', name: accountsApi, proven: false, fetches: 1 },
    ]);
    const { kid } = await operator.rotation.announce('RS256');
    await expectPublished(kid);
    expect(await operator.rotation.promote(kid)).toMatchObject({ stage: 'active' });
  });

  it('waits for a configured address, and for no resource server that was deleted', async () => {
    const environment = { COUNTERSIGN_KEY_READER_ADDRESSES: `2001:db8::1, ${address}` };
    const third = await startAuthorizationServer({ clock, beside: first, environment });
    try {
      await fetchAs(certificate, labelled);
      await keySetOf(third);
      const configured = { kind: 'configured-address', name: address, proven: true, fetches: 1 };
      await expect.poll(known, within).toContainEqual(configured);
      expect(await known()).toHaveLength(2);
      await first.running.app.resourceServers.delete(balances);
      expect(await known()).toEqual([configured]);
      const { kid } = await operator.rotation.announce('RS256');
      await expectPublished(kid);
      await expect(operator.rotation.promote(kid)).rejects.toThrow(
        `${kid} has not been fetched by ${address}: wait`,
      );
      at(8); // it has not come for a week
      expect(await known()).toEqual([]);
      expect(await operator.rotation.promote(kid)).toMatchObject({ stage: 'active' });
    } finally {
      await third.stop();
    }
  });

  it('by the schedule waits for them at most its week', async () => {
    await fetchAs(certificate, labelled);
    await expect.poll(known, within).toHaveLength(1);
    at(20);
    const { kid } = await operator.rotation.announce('RS256'); // may sign on day 90
    await expectPublished(kid);
    const [reader] = await stored<{ seen: string[] }>(first, 'SELECT seen FROM key_set_readers');
    at(70);
    await stored(first, `UPDATE key_set_readers SET last_seen_at = '${now.toISOString()}'`);
    expect(reader?.seen).not.toContain(kid);
    await operator.rotation.runDue((await operator.rotation.status()).keys);
    expect(await stageOf(kid)).toBe('announced');
    at(7);
    await expect.poll(() => stageOf(kid), within).toBe('active');
  });
});

describe('A damaged row', () => {
  it('is told, and keeps neither signing nor the other keys from going on', async () => {
    const before = String(kidOf(await token(first)));
    const { kid } = await operator.rotation.announce('ES256');
    await expectPublished(kid);
    const damaged = 'set_byte(sealed_key, 50, get_byte(sealed_key, 50) # 1)';
    await stored(first, `UPDATE signing_keys SET sealed_key = ${damaged}`);
    await expect
      .poll(() => first.log.raw(), within)
      .toContain(`the stored private key of ${before} can't be opened`);
    expect(kidOf(await token(first))).toBe(before);
    const next = await operator.rotation.rotate('RS256');
    await expect.poll(async () => kidOf(await token(second)), within).toBe(next.kid);
  });
});

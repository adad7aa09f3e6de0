import pg from 'pg';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { withoutIndexes } from './bulk.ts';
import { fapiMetadata, tppMetadata, tppPermissions } from './clients.ts';
import { activeClients, laneCount, subjectPattern } from './world.ts';

/** How full a database is made. */
export interface Size {
  clients: number;
  grants: number;
  consents: number;
}

/** Fills a migrated database by statements of its own: what the server would take hours to write. */
export async function seed(
  databaseUrl: string,
  { clients, grants, consents }: Size,
): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    // No triggers: nobody has to hear of a hundred thousand changes before the first request.
    await client.query(`SET session_replication_role = replica; SET synchronous_commit = off`);
    await client.query(`SET maintenance_work_mem = '256MB'`); // of the largest indexes
    await insertClients(client, { prefix: 'tpp', metadata: tppMetadata, count: clients });
    const fapi = { ...fapiMetadata, security_profile: 'fapi2' };
    await insertClients(client, { prefix: 'fapi', metadata: fapi, count: laneCount });
    await withoutIndexes(client, 'artifacts', () => insertGrants(client, grants));
    await withoutIndexes(client, 'consents', () => insertConsents(client, consents));
    await withoutIndexes(client, 'consent_history', () => insertHistory(client));
    await client.query('VACUUM ANALYZE');
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}

async function insertClients(
  client: pg.Client,
  { prefix, metadata: given, count }: { prefix: string; metadata: object; count: number },
): Promise<void> {
  const subject = subjectPattern;
  const { client_id: _id, ...metadata } = parseClientMetadata({
    ...given,
    client_id: prefix,
    tls_client_auth_subject_dn: subject,
  });
  await client.query(
    `INSERT INTO clients (id, name, metadata)
     SELECT $5 || '-' || n, 'TPP ' || n, $1::jsonb || jsonb_build_object(
       'client_name', 'TPP ' || n,
       'tls_client_auth_subject_dn', replace($2::text, '#', (n % $3::int)::text))
     FROM generate_series(0, $4::int - 1) n`,
    [JSON.stringify(metadata), subject, laneCount, count, prefix],
  );
  for (const [resource, scopes] of Object.entries(tppPermissions)) {
    await client.query(
      `INSERT INTO client_permissions (client_id, resource_server_identifier, scopes)
       SELECT $4 || '-' || n, $1, $2 FROM generate_series(0, $3::int - 1) n`,
      [resource, scopes, count, prefix],
    );
  }
}

/** As large as a real one; nobody reads them, so what they say does not matter. */
const grantBytes = 300;

async function insertGrants(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `INSERT INTO artifacts (kind, id_digest, payload, grant_digest, client_id, customer_id, expires_at)
     SELECT 'Grant', digest, $1, digest, 'tpp-' || (n % $2::int), 'customer-' || (n % 100000),
       now() + interval '90 days'
     FROM generate_series(1, $3::int) n, LATERAL (SELECT sha256(('grant ' || n)::bytea) AS digest) d`,
    [Buffer.alloc(grantBytes, 1), activeClients, count],
  );
}

/** Authorised ones; what they say is not read either. */
async function insertConsents(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `INSERT INTO consents (id, client_id, type, regime, state, version, permissions, terms, decide_by, expires_at,
       customer_id, created_at, changed_at)
     SELECT 'urn:countersign:consent:' || substr(encode(sha256(n::text::bytea), 'hex'), 1, 32), 'tpp-' || (n % $1::int),
       'accounts', 'uk', 'authorised', 2, '{ReadAccountsDetail,ReadBalances}', $2, now() + interval '1 day',
       now() + interval '90 days', 'customer-' || (n % 100000), now(), now()
     FROM generate_series(1, $3::int) n`,
    [activeClients, Buffer.alloc(grantBytes, 1), count],
  );
}

/** Two lines for each. */
async function insertHistory(client: pg.Client): Promise<void> {
  await client.query(
    `INSERT INTO consent_history (consent_id, version, at, move, state, actor_type)
     SELECT id, moves.version, now(), moves.move, moves.state, 'client' FROM consents,
       (VALUES (1, 'create', 'awaiting-authorisation'), (2, 'authorise', 'authorised')) AS moves (version, move, state)`,
  );
}

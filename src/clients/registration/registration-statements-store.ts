import type { Statement } from '../../database/sql.ts';

/** What is written once, so that a signed request can't come twice: the key's conflict fails the whole statement. */
const once = `
  once AS (
    INSERT INTO replay_identifiers (digest, expires_at)
    SELECT $1::bytea, $2::timestamptz WHERE $1::bytea IS NOT NULL)`;

/** `$6`: resource server identifier → scopes. */
const permissions = `
    SELECT client.id, permitted.key, ARRAY(SELECT jsonb_array_elements_text(permitted.value))
    FROM client, jsonb_each($6::jsonb) AS permitted`;

/** Another client of this software that an operator suspended: it must not come back under a new id. */
const suspended = `
    SELECT FROM client_registrations AS earlier JOIN clients ON clients.id = earlier.client_id
    WHERE earlier.directory = $14 AND earlier.software_id = $7 AND clients.status = 'suspended'`;

/**
 * A registration is one statement: all of it or nothing, without a transaction that would hold a session, and of many at
 * once the indexes decide. Nothing is inserted when the initial access token is used up, or the software is suspended.
 */
export const insertRegistration: Statement = {
  name: 'registration_insert',
  text: `WITH ${once},
  used AS (
    UPDATE initial_access_tokens SET used_at = $12::timestamptz, client_id = $3
    WHERE digest = $13::bytea AND used_at IS NULL RETURNING 1),
  client AS (
    INSERT INTO clients (id, name, metadata, source)
    SELECT $3, $4, $5::jsonb, 'registration'
    WHERE ($13::bytea IS NULL OR EXISTS (SELECT 1 FROM used)) AND NOT EXISTS (${suspended}) RETURNING id),
  permitted_scopes AS (
    INSERT INTO client_permissions (client_id, resource_server_identifier, scopes) ${permissions})
  INSERT INTO client_registrations
    (client_id, directory, software_id, organisation_id, only_of, certificate_subject, token_digest, offered)
  SELECT client.id, $14, $7, $8, $9, $10, $11::bytea, $6::jsonb FROM client`,
};

/** What registration gave and an operator took. */
const withheld = `
    SELECT given.key AS resource, scope
    FROM client_registrations AS registration, jsonb_each(registration.offered) AS given,
      jsonb_array_elements_text(given.value) AS scope
    WHERE registration.client_id = $3 AND NOT EXISTS (
      SELECT FROM client_permissions AS held WHERE held.client_id = $3
        AND held.resource_server_identifier = given.key AND scope = ANY (held.scopes))`;

/** `$6` as rows. */
const asked = `
    SELECT permitted.key AS resource, scope
    FROM client, jsonb_each($6::jsonb) AS permitted, jsonb_array_elements_text(permitted.value) AS scope`;

/** Replaces what is registered; nothing for a client that is gone. What an operator took is not given back. */
export const replaceRegistration: Statement = {
  name: 'registration_replace',
  text: `WITH ${once},
  client AS (
    UPDATE clients SET name = $4, metadata = $5::jsonb, secret_digest = NULL, updated_at = now()
    WHERE id = $3 RETURNING id),
  withheld AS (${withheld}),
  asked AS (${asked}),
  allowed AS (
    SELECT resource, array_agg(scope) AS scopes FROM asked
    WHERE (resource, scope) NOT IN (SELECT resource, scope FROM withheld) GROUP BY resource),
  withdrawn AS (
    DELETE FROM client_permissions USING client
    WHERE client_id = client.id AND resource_server_identifier NOT IN (SELECT resource FROM allowed)),
  permitted_scopes AS (
    INSERT INTO client_permissions (client_id, resource_server_identifier, scopes)
    SELECT client.id, resource, scopes FROM client, allowed
    ON CONFLICT (client_id, resource_server_identifier) DO UPDATE SET scopes = EXCLUDED.scopes)
  UPDATE client_registrations
  SET software_id = $7, organisation_id = $8, only_of = $9, certificate_subject = $10,
    offered = coalesce((
      SELECT jsonb_object_agg(resource, scopes) FROM (
        SELECT resource, jsonb_agg(scope) AS scopes
        FROM (SELECT * FROM asked UNION SELECT * FROM withheld) AS either GROUP BY resource) AS each), '{}')
  FROM client WHERE client_id = client.id`,
};

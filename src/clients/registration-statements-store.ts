import type { Statement } from '../database/sql.ts';

/** What is written once, so that a signed request can't come twice: the key's conflict fails the whole statement. */
const once = `
  once AS (
    INSERT INTO replay_identifiers (digest, expires_at)
    SELECT $1::bytea, $2::timestamptz WHERE $1::bytea IS NOT NULL)`;

/** `$6`: resource server identifier → scopes. */
const permissions = `
    SELECT client.id, permitted.key, ARRAY(SELECT jsonb_array_elements_text(permitted.value))
    FROM client, jsonb_each($6::jsonb) AS permitted`;

/**
 * A registration is one statement: all of it or nothing, without a transaction that would hold a session, and of many at
 * once the indexes decide. Nothing is inserted when the initial access token is used up.
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
    WHERE $13::bytea IS NULL OR EXISTS (SELECT 1 FROM used) RETURNING id),
  permitted_scopes AS (
    INSERT INTO client_permissions (client_id, resource_server_identifier, scopes) ${permissions})
  INSERT INTO client_registrations
    (client_id, directory, software_id, organisation_id, only_of, certificate_subject, token_digest)
  SELECT client.id, $14, $7, $8, $9, $10, $11::bytea FROM client`,
};

/** Replaces what is registered; nothing for a client that is gone. */
export const replaceRegistration: Statement = {
  name: 'registration_replace',
  text: `WITH ${once},
  client AS (
    UPDATE clients SET name = $4, metadata = $5::jsonb, secret_digest = NULL, updated_at = now()
    WHERE id = $3 RETURNING id),
  withdrawn AS (
    DELETE FROM client_permissions USING client
    WHERE client_id = client.id AND NOT $6::jsonb ? resource_server_identifier),
  permitted_scopes AS (
    INSERT INTO client_permissions (client_id, resource_server_identifier, scopes) ${permissions}
    ON CONFLICT (client_id, resource_server_identifier) DO UPDATE SET scopes = EXCLUDED.scopes)
  UPDATE client_registrations
  SET software_id = $7, organisation_id = $8, only_of = $9, certificate_subject = $10
  FROM client WHERE client_id = client.id`,
};

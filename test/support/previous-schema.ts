/**
 * The tables and columns of the migration before the newest one, as `information_schema` lists them, and that
 * migration's name. When a migration is added, this becomes what the newest one was until then: an upgrade starts the
 * new version beside one that knows exactly this.
 */
export const previousSchema = {
  migration: '20261122010000_change_notifications',
  tables: {
    artifacts: {
      kind: 'text',
      id_digest: 'bytea',
      payload: 'bytea',
      grant_digest: 'bytea?',
      uid_digest: 'bytea?',
      client_id: 'text?',
      customer_id: 'text?',
      consumed_at: 'timestamptz?',
      expires_at: 'timestamptz?',
      created_at: 'timestamptz=',
    },
    replay_identifiers: { digest: 'bytea', expires_at: 'timestamptz' },
    revoked_tokens: {
      jti_digest: 'bytea',
      expires_at: 'timestamptz',
      created_at: 'timestamptz=',
    },
    resource_servers: {
      identifier: 'text',
      name: 'text',
      access_token_format: 'text=',
      access_token_ttl_seconds: 'int4',
      signing_algorithm: 'text=',
      introspection_client_id: 'text?',
      source: 'text=',
      created_at: 'timestamptz=',
      updated_at: 'timestamptz=',
    },
    resource_server_scopes: {
      resource_server_identifier: 'text',
      scope: 'text',
      description: 'jsonb=',
    },
    clients: {
      id: 'text',
      name: 'text',
      metadata: 'jsonb',
      secret_digest: 'bytea?',
      status: 'text=',
      source: 'text=',
      created_at: 'timestamptz=',
      updated_at: 'timestamptz=',
    },
    client_permissions: {
      client_id: 'text',
      resource_server_identifier: 'text',
      scopes: '_text?',
    },
    customers: {
      id: 'uuid',
      username_digest: 'bytea',
      password_hash: 'text',
      password_changed_at: 'timestamptz',
      profile: 'bytea',
      status: 'text=',
      created_at: 'timestamptz=',
      updated_at: 'timestamptz=',
    },
    login_throttles: {
      key_digest: 'bytea',
      failures: 'int4',
      blocked_until: 'timestamptz?',
      expires_at: 'timestamptz',
    },
    audit_events: {
      id: 'uuid',
      at: 'timestamptz',
      type: 'text',
      outcome: 'text',
      actor_type: 'text',
      actor_id: 'text?',
      client_id: 'text?',
      customer_id: 'text?',
      address: 'text?',
      request_id: 'text?',
      detail: 'jsonb=',
    },
  },
} as const satisfies PreviousSchema;

/** Columns by table: Postgres's name of the type, `?` where it may be empty, `=` where the database has a default. */
export interface PreviousSchema {
  migration: string;
  tables: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

-- The first schema. Made with `prisma migrate diff --from-empty --to-schema prisma/schema.prisma --script`; what the
-- tables and columns hold is said in prisma/schema.prisma. Applied files are never edited: a change is a new migration
-- that only adds, so that the release before it keeps working. No BEGIN or COMMIT: the runner opens the transaction.
-- Prisma's CREATE SCHEMA "public" was taken out: it asks for a right on the database that the service needn't have.

-- CreateTable
CREATE TABLE "artifacts" (
    "kind" TEXT NOT NULL,
    "id_digest" BYTEA NOT NULL,
    "payload" BYTEA NOT NULL,
    "grant_digest" BYTEA,
    "uid_digest" BYTEA,
    "client_id" TEXT,
    "customer_id" TEXT,
    "consumed_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "artifacts_pkey" PRIMARY KEY ("kind","id_digest")
);

-- CreateTable
CREATE TABLE "replay_identifiers" (
    "digest" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "replay_identifiers_pkey" PRIMARY KEY ("digest")
);

-- CreateTable
CREATE TABLE "revoked_tokens" (
    "jti_digest" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "revoked_tokens_pkey" PRIMARY KEY ("jti_digest")
);

-- CreateTable
CREATE TABLE "resource_servers" (
    "identifier" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "access_token_format" TEXT NOT NULL DEFAULT 'jwt',
    "access_token_ttl_seconds" INTEGER NOT NULL,
    "signing_algorithm" TEXT NOT NULL DEFAULT 'RS256',
    "introspection_client_id" TEXT,
    "source" TEXT NOT NULL DEFAULT 'operator',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "resource_servers_pkey" PRIMARY KEY ("identifier")
);

-- CreateTable
CREATE TABLE "resource_server_scopes" (
    "resource_server_identifier" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "description" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "resource_server_scopes_pkey" PRIMARY KEY ("resource_server_identifier","scope")
);

-- CreateTable
CREATE TABLE "clients" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "metadata" JSONB NOT NULL,
    "secret_digest" BYTEA,
    "status" TEXT NOT NULL DEFAULT 'active',
    "source" TEXT NOT NULL DEFAULT 'operator',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "clients_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "client_permissions" (
    "client_id" TEXT NOT NULL,
    "resource_server_identifier" TEXT NOT NULL,
    "scopes" TEXT[],

    CONSTRAINT "client_permissions_pkey" PRIMARY KEY ("client_id","resource_server_identifier")
);

-- CreateTable
CREATE TABLE "customers" (
    "id" UUID NOT NULL,
    "username_digest" BYTEA NOT NULL,
    "password_hash" TEXT NOT NULL,
    "password_changed_at" TIMESTAMPTZ(3) NOT NULL,
    "profile" BYTEA NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'active',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "customers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "login_throttles" (
    "key_digest" BYTEA NOT NULL,
    "failures" INTEGER NOT NULL,
    "blocked_until" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "login_throttles_pkey" PRIMARY KEY ("key_digest")
);

-- CreateTable
CREATE TABLE "audit_events" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "type" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "actor_type" TEXT NOT NULL,
    "actor_id" TEXT,
    "client_id" TEXT,
    "customer_id" TEXT,
    "address" TEXT,
    "request_id" TEXT,
    "detail" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "artifacts_grant_digest_idx" ON "artifacts"("grant_digest");

-- CreateIndex
CREATE INDEX "artifacts_uid_digest_idx" ON "artifacts"("uid_digest");

-- CreateIndex
CREATE INDEX "artifacts_expires_at_idx" ON "artifacts"("expires_at");

-- CreateIndex
CREATE INDEX "artifacts_customer_id_idx" ON "artifacts"("customer_id");

-- CreateIndex
CREATE INDEX "artifacts_client_id_idx" ON "artifacts"("client_id");

-- CreateIndex
CREATE INDEX "replay_identifiers_expires_at_idx" ON "replay_identifiers"("expires_at");

-- CreateIndex
CREATE INDEX "revoked_tokens_expires_at_idx" ON "revoked_tokens"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "resource_servers_introspection_client_id_key" ON "resource_servers"("introspection_client_id");

-- CreateIndex
CREATE INDEX "client_permissions_resource_server_identifier_idx" ON "client_permissions"("resource_server_identifier");

-- CreateIndex
CREATE UNIQUE INDEX "customers_username_digest_key" ON "customers"("username_digest");

-- CreateIndex
CREATE INDEX "login_throttles_expires_at_idx" ON "login_throttles"("expires_at");

-- CreateIndex
CREATE INDEX "audit_events_at_idx" ON "audit_events"("at");

-- CreateIndex
CREATE INDEX "audit_events_type_at_idx" ON "audit_events"("type", "at");

-- CreateIndex
CREATE INDEX "audit_events_client_id_at_idx" ON "audit_events"("client_id", "at");

-- CreateIndex
CREATE INDEX "audit_events_customer_id_at_idx" ON "audit_events"("customer_id", "at");

-- AddForeignKey
ALTER TABLE "resource_server_scopes" ADD CONSTRAINT "resource_server_scopes_resource_server_identifier_fkey" FOREIGN KEY ("resource_server_identifier") REFERENCES "resource_servers"("identifier") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "client_permissions" ADD CONSTRAINT "client_permissions_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "clients"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "client_permissions" ADD CONSTRAINT "client_permissions_resource_server_identifier_fkey" FOREIGN KEY ("resource_server_identifier") REFERENCES "resource_servers"("identifier") ON DELETE CASCADE ON UPDATE CASCADE;


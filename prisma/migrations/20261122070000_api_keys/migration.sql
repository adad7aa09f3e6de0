-- Keys for programs that can't run a flow, and how often each is used.

-- CreateTable
CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL,
    "digest" BYTEA NOT NULL,
    "prefix" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "client_id" TEXT,
    "created_by" TEXT NOT NULL,
    "permissions" JSONB NOT NULL,
    "addresses" TEXT[],
    "limit_requests" INTEGER,
    "limit_seconds" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),
    "revoked_by" TEXT,
    "successor_id" TEXT,
    "warned_at" TIMESTAMPTZ(3),
    "idempotency_key" TEXT,
    "request_digest" BYTEA,

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key_usage" (
    "key_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "resource_server_identifier" TEXT NOT NULL,
    "accepted" BIGINT NOT NULL DEFAULT 0,
    "refused" BIGINT NOT NULL DEFAULT 0,
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_usage_pkey" PRIMARY KEY ("key_id","day","resource_server_identifier")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_digest_key" ON "api_keys"("digest");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_successor_id_key" ON "api_keys"("successor_id");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_client_id_idempotency_key_key" ON "api_keys"("client_id", "idempotency_key");

-- CreateIndex
CREATE INDEX "api_keys_client_id_created_at_idx" ON "api_keys"("client_id", "created_at");

-- CreateIndex
CREATE INDEX "api_keys_expires_at_idx" ON "api_keys"("expires_at");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "clients"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key_usage" ADD CONSTRAINT "api_key_usage_key_id_fkey" FOREIGN KEY ("key_id") REFERENCES "api_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Processes remember keys that are in use. Counters have a table of their own, so that using a key announces nothing.
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "api_keys"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('api-keys', 'id');

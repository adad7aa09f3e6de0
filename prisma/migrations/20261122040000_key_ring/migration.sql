-- The key ring: signing keys in their stages, the processes that publish them, and who fetched them. And since when each
-- secret has been in use.

-- CreateTable
CREATE TABLE "signing_keys" (
    "kid" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "use" TEXT NOT NULL DEFAULT 'sig',
    "stage" TEXT NOT NULL,
    "origin" TEXT NOT NULL,
    "announced_for" TEXT,
    "public_jwk" JSONB NOT NULL,
    "sealed_key" BYTEA,
    "wrapped_data_key" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "activate_at" TIMESTAMPTZ(3),
    "activated_at" TIMESTAMPTZ(3),
    "retired_at" TIMESTAMPTZ(3),
    "destroy_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("kid")
);

-- CreateTable
CREATE TABLE "key_ring_processes" (
    "id" UUID NOT NULL,
    "host" TEXT NOT NULL,
    "published" TEXT[],
    "seen_at" TIMESTAMPTZ(3) NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "key_ring_processes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "key_set_readers" (
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "seen" TEXT[],
    "fetches" INTEGER NOT NULL DEFAULT 1,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "key_set_readers_pkey" PRIMARY KEY ("kind","name")
);

-- CreateTable
CREATE TABLE "secret_sightings" (
    "variable" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "secret_sightings_pkey" PRIMARY KEY ("variable","fingerprint")
);

-- CreateIndex
CREATE UNIQUE INDEX "signing_keys_announced_for_key" ON "signing_keys"("announced_for");

-- Exactly the keys that sign, or are about to, have what it takes to.
ALTER TABLE "signing_keys" ADD CONSTRAINT "signing_keys_private_check"
  CHECK (("stage" IN ('announced', 'active')) = ("sealed_key" IS NOT NULL AND "wrapped_data_key" IS NOT NULL));

-- Every process follows within a second (see migration change_notifications).
CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON "signing_keys"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('signing-keys', 'kid');

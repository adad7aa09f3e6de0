-- Grants that clients manage by their ids (Grant Management for OAuth 2.0), and what each move of a consent consisted of.

-- CreateTable
CREATE TABLE "managed_grants" (
    "id" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "members" TEXT[],
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "managed_grants_pkey" PRIMARY KEY ("id")
);

-- AlterTable
ALTER TABLE "consent_history" ADD COLUMN "content" BYTEA;

-- CreateIndex
CREATE INDEX "managed_grants_client_id_idx" ON "managed_grants"("client_id");

-- CreateIndex
CREATE INDEX "managed_grants_expires_at_idx" ON "managed_grants"("expires_at");

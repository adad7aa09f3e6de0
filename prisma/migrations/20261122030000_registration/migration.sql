-- Dynamic client registration (RFC 7591, RFC 7592): how a client came, what manages it, and initial access tokens.

-- CreateTable
CREATE TABLE "client_registrations" (
    "client_id" TEXT NOT NULL,
    "directory" TEXT,
    "software_id" TEXT,
    "organisation_id" TEXT,
    "only_of" TEXT,
    "token_digest" BYTEA NOT NULL,
    "certificate_subject" TEXT NOT NULL,
    "offered" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "client_registrations_pkey" PRIMARY KEY ("client_id")
);

-- CreateTable
CREATE TABLE "initial_access_tokens" (
    "digest" BYTEA NOT NULL,
    "permissions" JSONB NOT NULL,
    "profile" TEXT NOT NULL,
    "used_at" TIMESTAMPTZ(3),
    "client_id" TEXT,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "initial_access_tokens_pkey" PRIMARY KEY ("digest")
);

-- CreateIndex
CREATE UNIQUE INDEX "client_registrations_only_of_key" ON "client_registrations"("only_of");

-- CreateIndex
CREATE INDEX "initial_access_tokens_expires_at_idx" ON "initial_access_tokens"("expires_at");

-- AddForeignKey
ALTER TABLE "client_registrations" ADD CONSTRAINT "client_registrations_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "clients"("id") ON DELETE CASCADE ON UPDATE CASCADE;

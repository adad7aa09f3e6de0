-- What the pages for customers tell: their sessions, and when consents were used last.

-- CreateTable
CREATE TABLE "customer_sessions" (
    "uid_digest" BYTEA NOT NULL,
    "customer_id" TEXT NOT NULL,
    "device" BYTEA,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "customer_sessions_pkey" PRIMARY KEY ("uid_digest")
);

-- CreateTable
CREATE TABLE "consent_uses" (
    "consent_id" TEXT NOT NULL,
    "last_used_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "consent_uses_pkey" PRIMARY KEY ("consent_id")
);

-- CreateIndex
CREATE INDEX "customer_sessions_customer_id_idx" ON "customer_sessions"("customer_id");

-- CreateIndex
CREATE INDEX "customer_sessions_expires_at_idx" ON "customer_sessions"("expires_at");

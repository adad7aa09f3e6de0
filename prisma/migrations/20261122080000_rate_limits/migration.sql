-- Rate limits that several processes share, and what gives credential stuffing away.

-- CreateTable
-- Not in the write-ahead log: after a crash of the database, and on a standby that takes over, limits count anew. In
-- return a count costs no wait for the disk.
CREATE UNLOGGED TABLE "rate_limits" (
    "key_digest" BYTEA NOT NULL,
    "at" BIGINT NOT NULL,
    "units" DOUBLE PRECISION[],
    "drain" DOUBLE PRECISION NOT NULL,
    "ceiling" DOUBLE PRECISION NOT NULL,
    "granted" INTEGER NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "rate_limits_pkey" PRIMARY KEY ("key_digest")
);

-- CreateTable
CREATE TABLE "login_patterns" (
    "pattern_digest" BYTEA NOT NULL,
    "account_digest" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "login_patterns_pkey" PRIMARY KEY ("pattern_digest","account_digest")
);

-- CreateIndex
CREATE INDEX "rate_limits_expires_at_idx" ON "rate_limits"("expires_at");

-- CreateIndex
CREATE INDEX "login_patterns_expires_at_idx" ON "login_patterns"("expires_at");

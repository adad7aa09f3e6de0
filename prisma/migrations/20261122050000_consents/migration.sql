-- Consents as objects of their own, their history, and the idempotency keys under which they were lodged.

-- CreateTable
CREATE TABLE "consents" (
    "id" TEXT NOT NULL,
    "client_id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "regime" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "permissions" TEXT[],
    "terms" BYTEA NOT NULL,
    "accounts" BYTEA,
    "decide_by" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "customer_id" TEXT,
    "acr" TEXT,
    "amr" TEXT[],
    "authenticated_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "changed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "consents_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "consent_history" (
    "consent_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "move" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "actor_type" TEXT NOT NULL,
    "actor_id" TEXT,
    "address" TEXT,
    "request_id" TEXT,
    "text_locale" TEXT,
    "text_digest" BYTEA,
    "reason" TEXT,

    CONSTRAINT "consent_history_pkey" PRIMARY KEY ("consent_id","version")
);

-- CreateTable
CREATE TABLE "consent_idempotency" (
    "client_id" TEXT NOT NULL,
    "endpoint" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "request_digest" BYTEA NOT NULL,
    "consent_id" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "consent_idempotency_pkey" PRIMARY KEY ("client_id","endpoint","key")
);

-- CreateIndex
CREATE INDEX "consents_customer_id_changed_at_idx" ON "consents"("customer_id", "changed_at");

-- CreateIndex
CREATE INDEX "consents_client_id_idx" ON "consents"("client_id");

-- CreateIndex
CREATE INDEX "consents_expires_at_idx" ON "consents"("expires_at");

-- CreateIndex
CREATE INDEX "consents_state_decide_by_idx" ON "consents"("state", "decide_by");

-- CreateIndex
CREATE INDEX "consent_idempotency_expires_at_idx" ON "consent_idempotency"("expires_at");

-- What happened has happened: not even our own code may rewrite it. Whoever must erase rows by law takes the trigger
-- away first, which needs the table's owner.
CREATE FUNCTION countersign_keep_history() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history of consents is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER keep_history BEFORE UPDATE OR DELETE ON "consent_history"
  FOR EACH ROW EXECUTE FUNCTION countersign_keep_history();

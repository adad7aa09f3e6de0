-- Who is told of changes to consents, and the outbox of what they are still to be told (docs/adr/0007).

-- CreateTable
CREATE TABLE "event_streams" (
    "id" TEXT NOT NULL,
    "client_id" TEXT,
    "resource_server_identifier" TEXT,
    "delivery" TEXT NOT NULL,
    "endpoint" TEXT,
    "authorization" BYTEA,
    "algorithm" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'enabled',
    "source" TEXT NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "retry_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_streams_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event_deliveries" (
    "stream_id" TEXT NOT NULL,
    "consent_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "jti" UUID NOT NULL DEFAULT gen_random_uuid(),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "next_attempt_at" TIMESTAMPTZ(3) DEFAULT CURRENT_TIMESTAMP,
    "leased_until" TIMESTAMPTZ(3),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "outcome" TEXT,
    "reason" TEXT,
    "settled_at" TIMESTAMPTZ(3),

    CONSTRAINT "event_deliveries_pkey" PRIMARY KEY ("stream_id","consent_id","version")
);

-- CreateTable
CREATE TABLE "consent_scopes" (
    "regime" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "scope" TEXT NOT NULL,

    CONSTRAINT "consent_scopes_pkey" PRIMARY KEY ("regime","type")
);

-- CreateIndex
CREATE INDEX "event_streams_client_id_idx" ON "event_streams"("client_id");

-- CreateIndex
CREATE INDEX "event_streams_resource_server_identifier_idx" ON "event_streams"("resource_server_identifier");

-- CreateIndex
CREATE UNIQUE INDEX "event_deliveries_jti_key" ON "event_deliveries"("jti");

-- CreateIndex
CREATE INDEX "event_deliveries_stream_id_next_attempt_at_idx" ON "event_deliveries"("stream_id", "next_attempt_at");

-- CreateIndex
CREATE INDEX "event_deliveries_created_at_idx" ON "event_deliveries"("created_at");

-- CreateIndex
CREATE INDEX "event_deliveries_settled_at_idx" ON "event_deliveries"("settled_at");

-- AddForeignKey
ALTER TABLE "event_streams" ADD CONSTRAINT "event_streams_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "clients"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "event_streams" ADD CONSTRAINT "event_streams_resource_server_identifier_fkey" FOREIGN KEY ("resource_server_identifier") REFERENCES "resource_servers"("identifier") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "event_deliveries" ADD CONSTRAINT "event_deliveries_stream_id_fkey" FOREIGN KEY ("stream_id") REFERENCES "event_streams"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A stream is one receiver's.
ALTER TABLE "event_streams" ADD CONSTRAINT "event_streams_receiver_check"
  CHECK (num_nonnulls("client_id", "resource_server_identifier") = 1);

-- Settled is what nobody attempts again.
ALTER TABLE "event_deliveries" ADD CONSTRAINT "event_deliveries_settled_check"
  CHECK (("next_attempt_at" IS NULL) = ("settled_at" IS NOT NULL) AND ("settled_at" IS NULL) = ("outcome" IS NULL));

-- The scope under which a regime's consents are used, as its file in src/consents/regimes says; a test compares them.
INSERT INTO "consent_scopes" ("regime", "type", "scope") VALUES
  ('uk', 'accounts', 'accounts'),
  ('uk', 'payment', 'payments'),
  ('uk', 'funds-confirmation', 'fundsconfirmations'),
  ('plain', 'accounts', 'accounts'),
  ('plain', 'payment', 'payments'),
  ('plain', 'funds-confirmation', 'fundsconfirmations');

-- Fills the outbox for each receiver that a change concerns. A trigger on the history, because every path that changes a
-- consent writes it, and because the rows are then part of the same transaction. FOR KEY SHARE skips a stream that is
-- being removed at this moment: its foreign key would fail the change. Without receivers nobody is woken.
CREATE FUNCTION countersign_fill_event_outbox() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM event_streams) THEN RETURN NULL; END IF;
  INSERT INTO event_deliveries (stream_id, consent_id, version)
  SELECT stream.id, NEW.consent_id, NEW.version FROM event_streams stream
  WHERE stream.id IN (
    SELECT own.id FROM consents consent JOIN event_streams own ON own.client_id = consent.client_id
    WHERE consent.id = NEW.consent_id
    UNION ALL
    SELECT concerned.id FROM consents consent
    JOIN consent_scopes used ON used.regime = consent.regime AND used.type = consent.type
    JOIN resource_server_scopes offered ON offered.scope = used.scope
    JOIN event_streams concerned ON concerned.resource_server_identifier = offered.resource_server_identifier
    WHERE consent.id = NEW.consent_id)
  ORDER BY stream.id FOR KEY SHARE OF stream;
  IF FOUND THEN PERFORM pg_notify('countersign_changes', 'security-events:'); END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER fill_event_outbox AFTER INSERT ON "consent_history"
  FOR EACH ROW EXECUTE FUNCTION countersign_fill_event_outbox();

-- A stream that goes on is served at once. Not for the columns that count failures.
CREATE TRIGGER announce_change AFTER INSERT OR DELETE OR UPDATE OF "status", "delivery", "endpoint", "authorization" ON "event_streams"
  FOR EACH ROW EXECUTE FUNCTION countersign_announce_change('security-events', 'id');

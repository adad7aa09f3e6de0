-- Where each customer last logged in, for as long as a journey from there can be too fast to be one.

-- CreateTable
CREATE TABLE "customer_places" (
    "customer_id" UUID NOT NULL,
    "place" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "customer_places_pkey" PRIMARY KEY ("customer_id")
);

-- CreateIndex
CREATE INDEX "customer_places_expires_at_idx" ON "customer_places"("expires_at");

-- AddForeignKey
ALTER TABLE "customer_places" ADD CONSTRAINT "customer_places_customer_id_fkey" FOREIGN KEY ("customer_id") REFERENCES "customers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

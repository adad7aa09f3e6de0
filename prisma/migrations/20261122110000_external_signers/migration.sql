-- Signing keys whose private part is not in the database: which signer has it, and what finds it there.

-- AlterTable
ALTER TABLE "signing_keys" ADD COLUMN     "signer" TEXT NOT NULL DEFAULT 'sealed',
ADD COLUMN     "reference" TEXT;

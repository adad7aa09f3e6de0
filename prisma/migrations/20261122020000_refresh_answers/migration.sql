-- What a rotated refresh token was answered with, for a retry by the same sender.
ALTER TABLE "artifacts" ADD COLUMN "answer" BYTEA;

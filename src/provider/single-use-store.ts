import type { PrismaClient } from '../database/generated/client.ts';
import { sha256 } from '../security/secrets.ts';

/** Identifiers that must not come twice, and tokens that must not work any more. */
export interface SingleUseStore {
  /** Whether `jti` of `issuer` is seen for the first time; one insert decides, on every process. */
  firstUse(use: { issuer: string; jti: string; expiresAt: Date }): Promise<boolean>;
  /** Ends a JWT access token before its time. */
  revokeToken(jti: string, expiresAt: Date): Promise<void>;
  isRevoked(jti: string): Promise<boolean>;
}

/** Single use by INSERT … ON CONFLICT DO NOTHING. */
export function createSingleUseStore(
  prisma: Pick<PrismaClient, 'replayIdentifier' | 'revokedToken'>,
): SingleUseStore {
  return {
    async firstUse({ issuer, jti, expiresAt }) {
      // The length keeps ("a", "bc") and ("ab", "c") apart.
      const digest = bytes(`${String(issuer.length)}:${issuer}${jti}`);
      const { count } = await prisma.replayIdentifier.createMany({
        data: [{ digest, expiresAt }],
        skipDuplicates: true,
      });
      return count === 1;
    },

    async revokeToken(jti, expiresAt) {
      await prisma.revokedToken.createMany({
        data: [{ jtiDigest: bytes(jti), expiresAt }],
        skipDuplicates: true,
      });
    },

    async isRevoked(jti) {
      const row = await prisma.revokedToken.findUnique({ where: { jtiDigest: bytes(jti) } });
      return row !== null;
    },
  };
}

function bytes(value: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sha256(value));
}

import type { Clock } from '../../clock.ts';
import { secondsFromNow } from '../../clock.ts';
import type { PrismaClient } from '../../database/generated/client.ts';
import { randomSecret, sha256 } from '../../security/secrets.ts';
import { securityProfiles } from '../profiles.ts';
import type { Fixed } from './registration-request.ts';

/** Initial access tokens (RFC 7591 §3) in the database, by their digests; the registration uses them up. */
export interface InitialAccessTokenStore {
  /** A new token, which nobody can show again. */
  issue(fixed: Fixed, ttlSeconds: number): Promise<{ token: string; expiresAt: Date }>;
  /** What a token is good for; undefined when it is unknown, used or expired. */
  find(token: string): Promise<Fixed | undefined>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, 'initialAccessToken'>;
  clock: Clock;
}

/** Under what a token is stored. */
export function initialAccessTokenDigest(token: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sha256(`initial-access-token ${token}`));
}

/** The store of initial access tokens. */
export function createInitialAccessTokenStore({
  prisma,
  clock,
}: Dependencies): InitialAccessTokenStore {
  return {
    async issue({ permissions, profile }, ttlSeconds) {
      const token = randomSecret();
      const expiresAt = secondsFromNow(clock, ttlSeconds);
      const data = { digest: initialAccessTokenDigest(token), permissions, profile, expiresAt };
      await prisma.initialAccessToken.create({ data });
      return { token, expiresAt };
    },

    async find(token) {
      const row = await prisma.initialAccessToken.findUnique({
        where: { digest: initialAccessTokenDigest(token) },
      });
      const profile = securityProfiles.find((known) => known === row?.profile);
      if (row === null || profile === undefined) return undefined;
      if (row.usedAt !== null || row.expiresAt <= clock.now()) return undefined;
      return { permissions: row.permissions as Fixed['permissions'], profile };
    },
  };
}

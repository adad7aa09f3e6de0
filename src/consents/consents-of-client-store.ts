import type { Clock } from '../clock.ts';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';
import { currentRequest } from '../observability/request-context.ts';

/**
 * Ends the consents of a client that is deleted, with their history, as one statement of the deleting transaction: what
 * was authorised is revoked, what nobody decided is rejected. What time has ended is left to the upkeep.
 */
export function createEndOfConsents(clock: Clock) {
  return (
    prisma: Pick<PrismaClient, '$executeRaw'>,
    clientId: string,
  ): Prisma.PrismaPromise<number> => {
    const at = clock.now();
    const request = currentRequest();
    return prisma.$executeRaw`
      WITH ended AS (
        UPDATE consents SET version = version + 1, changed_at = ${at}::timestamptz,
          state = CASE state WHEN 'authorised' THEN 'revoked' ELSE 'rejected' END
        WHERE client_id = ${clientId} AND state IN ('authorised', 'awaiting-authorisation')
          AND COALESCE(expires_at, 'infinity') > ${at}::timestamptz
          AND (state = 'authorised' OR decide_by > ${at}::timestamptz)
        RETURNING id, version, state)
      INSERT INTO consent_history
        (consent_id, version, at, move, state, actor_type, address, request_id, reason)
      SELECT id, version, ${at}::timestamptz, CASE state WHEN 'revoked' THEN 'revoke' ELSE 'withdraw' END, state,
        'system', ${request?.address ?? null}, ${request?.requestId ?? null}, 'client deleted'
      FROM ended`;
  };
}

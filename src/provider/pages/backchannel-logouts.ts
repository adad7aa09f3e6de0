import type Provider from 'oidc-provider';
import type { Client } from 'oidc-provider';
import type { AuditEntry } from '../../audit/events.ts';
import type { Recorder } from '../ports.ts';

/** A session that was ended, and the clients that it was used for. */
interface EndedSession {
  accountId: string;
  authorizations: Record<string, { sid?: string }>;
}

interface Dependencies {
  provider: () => Provider;
  audit: Recorder;
}

/** What oidc-provider's types leave out. */
type LogoutClient = Client & { backchannelLogout(sub: string, sid: string): Promise<void> };

/** Tells the clients of these sessions that they are over (OpenID Connect Back-Channel Logout 1.0), as a logout does. */
export async function sendBackchannelLogouts(
  sessions: readonly EndedSession[],
  { provider, audit }: Dependencies,
): Promise<void> {
  const calls = sessions.flatMap(({ accountId, authorizations }) =>
    Object.entries(authorizations).map(async ([clientId, { sid = '' }]) => {
      // Undefined for one that was deleted or suspended since.
      const client = (await provider().Client.find(clientId)) as LogoutClient | undefined;
      if (client?.backchannelLogoutUri === undefined) return;
      audit.record(await outcomeOf(client, accountId, sid));
    }),
  );
  await Promise.all(calls);
}

async function outcomeOf(
  client: LogoutClient,
  accountId: string,
  sid: string,
): Promise<AuditEntry> {
  const parties = {
    actor: { type: 'customer', id: accountId } as const,
    ...{ clientId: client.clientId, customerId: accountId },
  };
  try {
    await client.backchannelLogout(accountId, sid);
    return { ...parties, type: 'backchannel_logout.sent', outcome: 'success' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const type = 'backchannel_logout.failed';
    return { ...parties, type, outcome: 'error', detail: { reason } };
  }
}

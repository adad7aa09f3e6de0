import type { Client } from 'oidc-provider';
import type { Share } from '../ports.ts';

/** The profile as the client's metadata names it; its rules are those of `clients/`. */
function profileOf(client: Client | undefined): unknown {
  return client?.['security_profile'];
}

/** Whether the client is held to the FAPI 2.0 Security Profile. */
export function isFapi(client: Client | undefined): boolean {
  return profileOf(client) === 'fapi2' || signsMessages(client);
}

/** Whether the client is held to FAPI 2.0 Message Signing too. */
export function signsMessages(client: Client | undefined): boolean {
  return profileOf(client) === 'fapi2-message-signing';
}

/** Tells oidc-provider which clients FAPI 2.0 is for; what it leaves open is in the clients' metadata and beside this file. */
export function securityProfileShare(): Share {
  return {
    features: {
      fapi: { enabled: true, profile: (_ctx, client) => (isFapi(client) ? '2.0' : undefined) },
    },
  };
}

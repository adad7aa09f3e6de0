import type { Client } from './client.ts';
import { isSenderConstrained, profileFaults, profileOf } from './profiles.ts';
import type { ProfiledMetadata, SecurityProfile } from './profiles.ts';

/** How far a client is from what it could be held to; each list names what is missing, none means it is there. */
export interface Assessment {
  id: string;
  profile: SecurityProfile;
  /** FAPI 2.0 Security Profile. */
  fapi2: string[];
  /** FAPI 2.0 Message Signing, besides the Security Profile. */
  messageSigning: string[];
  /** What RFC 9700 recommends and the server leaves to the client. */
  rfc9700: string[];
}

/** Measures a client against FAPI 2.0 and RFC 9700. What the server enforces for every client is not among it. */
export function assessClient({ id, metadata }: Pick<Client, 'id' | 'metadata'>): Assessment {
  const fapi2 = profileFaults({ ...metadata, security_profile: 'fapi2' });
  const signing = profileFaults({ ...metadata, security_profile: 'fapi2-message-signing' });
  return {
    id,
    profile: profileOf(metadata),
    fapi2,
    messageSigning: signing.filter((fault) => !fapi2.includes(fault)),
    rfc9700: recommendations(metadata),
  };
}

function recommendations(metadata: ProfiledMetadata & Client['metadata']): string[] {
  const { token_endpoint_auth_method: method, redirect_uris: uris } = metadata;
  const isPublic = method === 'none';
  const isBound = isSenderConstrained(metadata);
  const missing: string[] = [];
  if (method.startsWith('client_secret_')) {
    missing.push('§2.5: it authenticates by a shared secret instead of a key or certificate');
  }
  if (metadata.grant_types.length > 0 && !isBound) {
    missing.push('§2.2.1: its access tokens are good for whoever holds them');
  }
  if (isPublic && !isBound && metadata.grant_types.includes('refresh_token')) {
    missing.push('§2.2.2: its refresh tokens rotate, but are bound to no key');
  }
  if (uris.some((uri) => !/^https?:/i.test(uri))) {
    missing.push('§4.1: a redirect URI has a private-use scheme, which other apps can claim');
  }
  return missing;
}

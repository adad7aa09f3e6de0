import type { Share } from './ports.ts';

/** `fetch` of the Fetch API, guarded; `security/outbound-fetch.ts` fits. */
export type Fetch = (url: string | URL, options?: RequestInit) => Promise<Response>;

/**
 * How oidc-provider reaches clients' servers: jwks_uri, sector_identifier_uri and back-channel logout. Its own guard,
 * which has no list of exceptions, is in a dispatcher that only the built-in fetch knows and is not used; its size limits
 * (`fetchResponseBodyLimits`) stay off, because ours comes first and says so.
 */
export function outboundShare(outboundFetch: Fetch): Share {
  return {
    fetch: (url, options) => outboundFetch(url instanceof Request ? url.url : url, options),
  };
}

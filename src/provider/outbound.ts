import type { Share } from './ports.ts';

/** Key sets and sector documents are small; 100 keys with certificate chains stay below this. */
const maxDocumentBytes = 256 * 1024;

/** `fetch` of the Fetch API, guarded; `security/outbound-fetch.ts` fits. */
export type Fetch = (url: string | URL, options?: RequestInit) => Promise<Response>;

/**
 * How oidc-provider reaches clients' servers: jwks_uri, sector_identifier_uri and back-channel logout. Its own guard,
 * which has no list of exceptions, is in a dispatcher that only the built-in fetch knows and is not used.
 */
export function outboundShare(outboundFetch: Fetch): Share {
  return {
    fetch: (url, options) => outboundFetch(url instanceof Request ? url.url : url, options),
    fetchResponseBodyLimits: {
      jwks_uri: maxDocumentBytes,
      sector_identifier_uri: maxDocumentBytes,
    },
  };
}

import { isIP } from 'node:net';
import { Problem } from '../../problem.ts';
import { isPublicAddress } from '../../security/public-address.ts';
import type { ClientMetadata } from '../client.ts';
import { fetchKeySet } from './key-set.ts';
import type { Fetch } from './key-set.ts';
import { fault } from './registration.ts';
import type { Fault } from './registration.ts';

/**
 * What speaks against the addresses that a client wants us to use: that its key set can't be had, or that its sector
 * does not name its redirect URIs (OpenID Connect Registration §5), by which others could be recognised in its `sub`.
 */
export async function addressFaults(
  metadata: ClientMetadata,
  fetch: Fetch,
  { isLocalAllowed }: { isLocalAllowed: boolean },
): Promise<Fault[]> {
  const {
    jwks_uri: keys,
    sector_identifier_uri: sector,
    backchannel_logout_uri: logout,
  } = metadata;
  const faults: Fault[] = [];
  // It is called much later; a name is looked at then.
  if (typeof logout === 'string' && !isLocalAllowed && isLocal(logout)) {
    faults.push(invalid(`backchannel_logout_uri ${logout} has no public host`));
  }
  if (keys !== undefined) {
    const why = await failing(() => fetchKeySet(fetch, keys).then(() => undefined));
    if (why !== undefined) faults.push(invalid(`jwks_uri ${keys}: ${why}`));
  }
  if (typeof sector === 'string') {
    const why = await failing(() => sectorFault(sector, metadata.redirect_uris, fetch));
    if (why !== undefined) faults.push(invalid(`sector_identifier_uri ${sector}: ${why}`));
  }
  return faults;
}

const localNames = /^(?:.*\.)?(?:localhost|local|internal)\.?$/;

/** Whether it is a name or address within a machine or a network. */
function isLocal(uri: string): boolean {
  const host = (URL.parse(uri)?.hostname ?? '').replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? localNames.test(host) : !isPublicAddress(host);
}

function invalid(detail: string): Fault {
  return fault('invalid_client_metadata', detail);
}

async function sectorFault(
  address: string,
  redirectUris: readonly string[],
  fetch: Fetch,
): Promise<string | undefined> {
  const response = await fetch(address);
  const text = await response.text();
  if (response.status !== 200) return `it answered ${String(response.status)}`;
  const named = listIn(text);
  if (named === undefined) return 'it holds no JSON array';
  const missing = redirectUris.filter((uri) => !named.includes(uri));
  return missing.length === 0 ? undefined : `it does not name ${missing.join(', ')}`;
}

function listIn(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What `work` finds wrong, or why it fails. */
export async function failing(
  work: () => Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem) return error.detail ?? error.message;
    // `new URL` says no more than that.
    if (error instanceof TypeError) return 'it is no URL';
    throw error;
  }
}

import type { JSONWebKeySet } from 'jose';
import { bounds } from '../../bounds.ts';
import { clockLeadSeconds, epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import { parseJsonObject } from '../../security/strict-json.ts';
import { readCompactJws, typeFaults } from './compact-jws.ts';
import type { Directory } from './directory.ts';
import { fetchKeySet, signatureFault } from './key-set.ts';
import type { Fetch } from './key-set.ts';
import { failing } from './registration-addresses.ts';
import type { RegistrationBody } from './registration-request.ts';
import { fault } from './registration.ts';
import type { Fault } from './registration.ts';
import type { SoftwareStatement } from './software-statement-metadata.ts';

const { maxDepth } = bounds.registrations;

type Members = Readonly<Record<string, unknown>>;

/** The members of a request, and the header of a signed one. */
interface ReadBody {
  members: Members;
  header?: Members;
}

/** The members of a request, of a signed one not verified yet; else why they can't be read. */
export function readBody({ type, text }: RegistrationBody): ReadBody | { fault: Fault } {
  if (type === 'jwt') {
    const jws = readCompactJws(text.trim(), maxDepth);
    return 'why' in jws ? unreadable(jws.why) : { members: jws.claims, header: jws.header };
  }
  try {
    return { members: parseJsonObject(text, { maxDepth }) };
  } catch (error) {
    if (error instanceof Problem) return unreadable(error.detail ?? error.message);
    throw error;
  }
}

function unreadable(why: string): { fault: Fault } {
  return { fault: fault('invalid_client_metadata', `the body can't be read: ${why}`) };
}

/** A request may be as long ahead of its `exp`: every `jti` is remembered until then. */
const longestSeconds = 3600;

/** What speaks against the claims by which a signed request (UK DCR 3.3) is meant for us, now, and once. */
export function envelopeFaults(
  claims: Members,
  expected: { softwareId: string; audience: string; clock: Clock; header: Members },
): Fault[] {
  const { iss, aud } = claims;
  const faults = [
    ...onceFaults(claims, epochSeconds(expected.clock)),
    ...typeFaults(expected.header).map((why) => `${why} in the header of the request`),
  ];
  if (iss !== expected.softwareId) {
    faults.push(`iss of the request is ${JSON.stringify(iss)}, not ${expected.softwareId}`);
  }
  // A request that others are meant to accept as well could be sent to them (RFC 8725 §3.9).
  if (![aud].flat().every((one) => one === expected.audience) || [aud].flat().length === 0) {
    faults.push(`aud of the request is ${JSON.stringify(aud)}, not ${expected.audience}`);
  }
  return faults.map((detail) => fault('invalid_client_metadata', detail));
}

function onceFaults({ exp, iat, jti }: Members, now: number): string[] {
  const faults: string[] = [];
  if (!(typeof exp === 'number' && exp > now && exp <= now + longestSeconds)) {
    faults.push(`exp of the request is ${JSON.stringify(exp)}, now is ${String(now)}`);
  }
  if (iat !== undefined && !(typeof iat === 'number' && iat <= now + clockLeadSeconds)) {
    faults.push(`iat of the request is ${JSON.stringify(iat)}, now is ${String(now)}`);
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > 200)
    faults.push('jti is no short text');
  return faults;
}

/** What speaks against the signature of a request: made with a key of the software, by an algorithm of the directory. */
export async function requestSignatureFaults(
  jws: string,
  { statement, directory }: { statement: SoftwareStatement; directory: Directory },
  fetch: Fetch,
): Promise<Fault[]> {
  const why = await failing(async () =>
    signatureFault(jws.trim(), await softwareKeys(statement, fetch), directory.algorithms),
  );
  if (why === undefined) return [];
  return [fault('invalid_client_metadata', `the request's signature: ${why}`)];
}

function softwareKeys({ jwks, jwksUri }: SoftwareStatement, fetch: Fetch): Promise<JSONWebKeySet> {
  if (jwksUri !== undefined) return fetchKeySet(fetch, jwksUri);
  if (jwks !== undefined) return Promise.resolve(jwks);
  throw new Problem('outbound_refused', { detail: 'the statement names no keys of the software' });
}

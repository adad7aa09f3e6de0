import type { Client } from 'oidc-provider';
import { clockLeadSeconds } from '../../clock.ts';
import { isFapi } from './security-profile.ts';

/** FAPI 2.0 §5.4.1. */
const fapiAlgorithms: unknown[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];

/** Members of a JOSE header that would have us fetch, or believe, a key of the sender's choice (RFC 8725 §3.10). */
const keyMembers = ['jku', 'x5u', 'jwk', 'x5c'];

type Members = Readonly<Record<string, unknown>>;

/**
 * What is wrong with the header of a JWT that a client signed: its type, and for FAPI clients its algorithm and keys of
 * its own. `types` are those allowed, without `application/` and in small letters; a header without one passes.
 */
export function headerFault(
  { typ, alg, ...header }: Members,
  types: readonly string[],
  client: Client | undefined,
): string | undefined {
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ;
  if (type !== undefined && !['jwt', ...types].includes(type as string)) {
    return 'typ is that of another kind of JWT';
  }
  if (!isFapi(client)) return undefined;
  if (!fapiAlgorithms.includes(alg)) return 'alg is none of FAPI 2.0';
  const member = keyMembers.find((name) => Object.hasOwn(header, name));
  return member === undefined ? undefined : `${member} must not be in the header`;
}

/** What is wrong with when a JWT says that it was made; `now` in seconds. */
export function issuedFault({ iat }: Members, now: number): string | undefined {
  if (iat === undefined || Number(iat) <= now + clockLeadSeconds) return undefined;
  return 'iat (issued at) is in the future';
}

import { errors } from 'oidc-provider';

/** One authentication level is offered yet: a password. */
export const passwordAcr = 'urn:countersign:acr:password';

/** What `acr` may be asked for. */
export const offeredAcrs: readonly string[] = [passwordAcr];

interface AskedClaims {
  id_token?: { acr?: { essential?: unknown; value?: unknown; values?: unknown } | null } | null;
}

/**
 * Refuses a request that insists on a level that nobody can reach here, before the customer is bothered
 * (OpenID Connect Core §5.5.1.1; the error is that of Unmet Authentication Requirements 1.0).
 */
export function rejectUnreachableAcr(claims: unknown): void {
  const acr = (claims as AskedClaims).id_token?.acr;
  if (acr?.essential !== true) return;
  const wanted = [acr.value ?? [], acr.values ?? []].flat();
  if (wanted.length === 0 || wanted.some((one) => offeredAcrs.includes(one as string))) return;
  throw new errors.UnmetAuthenticationRequirements(
    'the level of authentication is not offered',
    JSON.stringify(wanted).slice(0, 200),
  );
}

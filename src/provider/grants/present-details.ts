import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import type { AuthorizationDetail, Consents, NamedConsent } from '../ports.ts';

interface Ground {
  consents: Pick<Consents, 'isId' | 'find'>;
  /** What was asked for already. */
  known: ReadonlyMap<string, NamedConsent>;
}

/**
 * A grant whose authorization details are those of this moment: the customer may have chosen other accounts since it was
 * made, and what has ended is no part of it.
 */
export async function withPresentDetails(
  grant: AdapterPayload,
  { consents, known }: Ground,
): Promise<AdapterPayload> {
  async function present(detail: AuthorizationDetail): Promise<AuthorizationDetail[]> {
    const id = detail['consent_id'];
    if (!consents.isId(id)) return [detail];
    const consent = known.get(id) ?? (await consents.find(id));
    return consent?.state === 'authorised' ? [consent.detail] : [];
  }

  const details = (grant['rar'] ?? []) as AuthorizationDetail[];
  return { ...grant, rar: (await Promise.all(details.map(present))).flat() };
}

/** The details of a token or of what it is made from, in the words of its grant as it is now. */
export function presentDetailsOf<Detail extends object>(
  { oidc }: KoaContextWithOIDC,
  details: readonly Detail[] | undefined,
): Detail[] | undefined {
  const present = (oidc.entities.Grant?.rar ?? []) as unknown as Detail[];
  const idOf = (detail: Detail) => (detail as { consent_id?: unknown }).consent_id;
  return details?.map((detail) => {
    const id = idOf(detail);
    return present.find((one) => id !== undefined && idOf(one) === id) ?? detail;
  });
}

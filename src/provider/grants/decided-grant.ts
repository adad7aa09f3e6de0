import { errors } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../ports.ts';
import { findGrant } from './managed-id.ts';
import type { EngineGrant } from './managed-id.ts';
import { findStanding } from './standing-grant.ts';
import { wishOf } from './wish-checks.ts';
import type { WishRules } from './wish-checks.ts';

interface Ground {
  consents: Pick<Consents, 'isId'>;
  wishes: WishRules;
}

/**
 * The grant that the customer has just decided about. Where another merge came between, it is part of what that one made;
 * AccessDenied where another decision has ended it.
 */
export async function decidedGrant(
  oidc: KoaContextWithOIDC['oidc'],
  decided: string,
  { consents, wishes }: Ground,
): Promise<EngineGrant | undefined> {
  const found = await findGrant(oidc.provider, decided);
  const wish = wishOf(oidc);
  if (found !== undefined || wish === undefined) return found;
  if (wish.action === 'merge' && !consents.isId(decided)) {
    const standing = await findStanding(oidc.provider, wish.grantId, wishes);
    const merged = standing?.members.find(({ jti }) => !consents.isId(jti));
    if (merged !== undefined) return merged;
  }
  throw new errors.AccessDenied('another decision about the grant came later');
}

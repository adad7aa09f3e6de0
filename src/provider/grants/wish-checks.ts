import { errors } from 'oidc-provider';
import type { interactionPolicy as policies, KoaContextWithOIDC } from 'oidc-provider';
import { interactionPolicy } from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import { consentNaming } from '../requests/consent-requests.ts';
import type { Share } from '../ports.ts';
import { readWish } from './grant-request.ts';
import type { GrantWish } from './grant-request.ts';
import type { ManagedGrantStore } from './managed-grant-store.ts';
import { findGrant } from './managed-id.ts';
import { findStanding } from './standing-grant.ts';
import type { StandingGrant } from './standing-grant.ts';

/** What requests about grants are checked with. */
export interface WishRules {
  store: Pick<ManagedGrantStore, 'find'>;
  clock: Clock;
  /** Whether every authorization request must say what becomes of the grant. */
  isRequired: boolean;
}

/** The two parameters, checked wherever a request arrives: pushed, signed or neither. */
export function grantParameterShare(rules: WishRules): Share {
  return {
    extraParams: {
      grant_id: null,
      async grant_management_action(ctx) {
        await checkWish(ctx, rules);
      },
    },
  };
}

/** A customer always decides about a managed grant; and it must be theirs. */
export function addGrantChecks(prompts: policies.DefaultPolicy, rules: WishRules): void {
  const { Check } = interactionPolicy;
  const mayGoOn = new Check('grant_unfit', 'the grant does not allow it', async (ctx) => {
    await checkWish(ctx, rules);
    return false;
  });
  const isAsked = new Check(
    'grant_managed',
    'the customer must decide about the grant',
    'consent_required',
    ({ oidc }) => wishOf(oidc) !== undefined && oidc.result?.consent === undefined,
  );
  prompts.get('login')?.checks.add(mayGoOn, 0);
  prompts.get('consent')?.checks.add(isAsked, 0);
}

type Oidc = KoaContextWithOIDC['oidc'];

/** What a request wants of a grant. InvalidRequest where it contradicts itself. */
export function wishOf({ params }: Pick<Oidc, 'params'>): GrantWish | undefined {
  const wish = readWish(params ?? {});
  if (wish !== undefined && 'fault' in wish) throw new errors.InvalidRequest(wish.fault);
  return wish;
}

async function checkWish({ oidc }: KoaContextWithOIDC, rules: WishRules): Promise<void> {
  const wish = wishOf(oidc);
  if (wish === undefined) {
    if (!rules.isRequired) return;
    throw new errors.InvalidRequest('a grant_management_action is required');
  }
  if (oidc.client?.clientAuthMethod === 'none') {
    throw new errors.InvalidRequest('grants are managed by confidential clients only');
  }
  if (wish.action !== 'create') {
    rejectForeign(oidc, await findStanding(oidc.provider, wish.grantId, rules));
  }
  // Once it is decided, the consent is under the grant that this request made.
  if (oidc.result?.consent === undefined) await rejectConsentOfAnother(oidc, wish);
}

/** Unknown, foreign, ended and another customer's are told in the same words. */
function rejectForeign({ client, session }: Oidc, standing: StandingGrant | undefined): void {
  if (standing === undefined || standing.members.length === 0) throw invalidGrantId();
  const { clientId, customerId } = standing.managed;
  const signedIn = (session as { accountId?: string } | undefined)?.accountId ?? customerId;
  if (clientId !== client?.clientId || customerId !== signedIn) throw invalidGrantId();
}

async function rejectConsentOfAnother({ params, provider }: Oidc, wish: GrantWish): Promise<void> {
  const { consentId } = consentNaming(params ?? {});
  if (consentId === undefined) return;
  const holder = (await findGrant(provider, consentId))?.managedId;
  if (holder === undefined || (wish.action !== 'create' && holder === wish.grantId)) return;
  throw new errors.InvalidRequest('the consent is under another grant');
}

/** "Authorization Error Response". */
export const grantIdRefusal = {
  error: 'invalid_grant_id',
  error_description: 'the grant is unknown, has ended or is of somebody else',
} as const;

function invalidGrantId(): errors.CustomOIDCProviderError {
  const { error, error_description: description } = grantIdRefusal;
  return new errors.CustomOIDCProviderError(error, description);
}

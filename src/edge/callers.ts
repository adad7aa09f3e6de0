import { epochSeconds } from '../clock.ts';
import type { Credential } from './credentials.ts';
import type { EdgeCertificate, EdgeKey, FindToken, VerifyKey } from './edge-ports.ts';
import type { Identity } from './identity-headers.ts';
import type { OriginalRequest } from './original-request.ts';
import { Refusal } from './resource-server/refusal.ts';
import { checkRequirementOf } from './resource-server/requirement.ts';
import type { EdgeRoute } from './route-policy.ts';
import { createSenderCheck } from './sender-check.ts';
import type { SenderCheckDependencies } from './sender-check.ts';

/** A request that is looked at for its route. */
export interface RoutedRequest {
  original: OriginalRequest;
  route: EdgeRoute;
  header: (name: string) => readonly string[];
  certificate: EdgeCertificate | undefined;
  /** The caller's. */
  address: string;
}

/** Who calls, or a key that was used too often. */
export type Recognised = { identity: Identity } | { resetSeconds: number };

/** What callers are recognised by. */
export interface CallerDependencies extends SenderCheckDependencies {
  findToken: FindToken;
  verifyKey: VerifyKey;
}

/**
 * Recognises who sent a request by its token or API key, and whether they may use the route. Rejects with a {@link Refusal}.
 */
export function createCallers(deps: CallerDependencies) {
  const { clock, findToken, verifyKey } = deps;
  const checkSender = createSenderCheck(deps);

  async function byToken(
    request: RoutedRequest,
    credential: Credential & { kind: 'token' },
  ): Promise<Identity> {
    const { route } = request;
    const token = await findToken(credential.value);
    // It may have ended since it was remembered.
    const isCurrent = token !== undefined && token.expiresAt > epochSeconds(clock);
    if (!isCurrent || !token.audiences.includes(route.resourceServer)) {
      throw new Refusal('invalid_token', 'the token is not valid here');
    }
    await checkSender(request, credential, token);
    checkRequirementOf(requirementOf(route), token, epochSeconds(clock));
    const { clientId, customerId, scopes, consentId, expiresAt } = token;
    return { clientId, customerId, scopes, consentId, expiresAt, apiKeyId: undefined };
  }

  async function byKey({ route, address }: RoutedRequest, key: string): Promise<Recognised> {
    const { resourceServer } = route;
    const verdict = await verifyKey({ key, address, resourceServer });
    if (verdict.outcome === 'refused') {
      throw new Refusal('invalid_token', 'the API key is not valid here');
    }
    const good = verdict.key;
    if (verdict.outcome === 'limited') return { resetSeconds: good.limit?.resetSeconds ?? 1 };
    // A key has no customer who could have authenticated.
    const token = { scopes: good.scopes, acr: undefined, authTime: undefined };
    checkRequirementOf(requirementOf(route), token, epochSeconds(clock));
    return { identity: identityOf(good) };
  }

  return async function recognise(
    request: RoutedRequest,
    credential: Credential,
  ): Promise<Recognised> {
    if (!request.route.credentials.includes(credential.kind)) {
      throw new Refusal('invalid_token', 'this kind of credential is not taken here');
    }
    if (credential.kind === 'api-key') return byKey(request, credential.value);
    return { identity: await byToken(request, credential) };
  };
}

function requirementOf({ scopes, acr, maxAgeSeconds }: EdgeRoute) {
  return {
    scope: scopes,
    ...(acr === undefined ? {} : { acr }),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  };
}

function identityOf({ id, owner, scopes, expiresAt }: EdgeKey): Identity {
  return {
    clientId: owner.type === 'client' ? owner.id : undefined,
    customerId: undefined,
    scopes,
    consentId: undefined,
    expiresAt: Math.floor(expiresAt.getTime() / 1000),
    apiKeyId: id,
  };
}

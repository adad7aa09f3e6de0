import { accessTokenOf, presentedToken, schemeOf } from './access-token.ts';
import type { AccessToken, PresentedToken } from './access-token.ts';
import { createConsentFinder } from './consent-status.ts';
import { createNonces } from './dpop-nonce.ts';
import { proofAlgorithms, proofMemorySeconds, verifyProof } from './dpop-proof.ts';
import type { Proof } from './dpop-proof.ts';
import { createIntrospection } from './introspection.ts';
import { createIssuer } from './issuer.ts';
import { createJwtVerifier, isJwt } from './jwt.ts';
import { createKeySet } from './key-set.ts';
import type { ReplayMemory, Settings } from './options.ts';
import { createCertificateFinder } from './proxy.ts';
import { challengesOf, Refusal } from './refusal.ts';
import { createReplayMemory } from './replay-memory.ts';
import type { ProtectedRequest } from './request.ts';
import { checkConsentOf, checkRequirementOf } from './requirement.ts';
import type { Requirement } from './requirement.ts';
import { checkBinding } from './sender.ts';

/** What a refused request is answered. */
export interface RefusalAnswer {
  status: 400 | 401 | 403 | 503;
  headers: Readonly<Record<string, string | readonly string[]>>;
  /** JSON; undefined for who brought no token. */
  body: Readonly<Record<string, string>> | undefined;
}

/** What becomes of a request; `headers` go into the answer of an admitted one. */
export type Verdict =
  { token: AccessToken; headers: Readonly<Record<string, string>> } | { refusal: RefusalAnswer };

/** Judges a request; never rejects. */
export type Judge = (request: ProtectedRequest, requirement: Requirement) => Promise<Verdict>;

/** Everything that a judgement needs, made of the settings. */
export function createGuard(settings: Settings, replays?: ReplayMemory): Judge {
  const checks = createChecks(settings, replays);
  const realm = settings.audience;

  function refused(error: unknown, { header }: ProtectedRequest): RefusalAnswer {
    if (!(error instanceof Refusal)) {
      settings.onError(error);
      return unavailable;
    }
    const scheme = schemeOf(header('authorization'));
    const challenges = challengesOf(error, { realm, scheme, algorithms: proofAlgorithms });
    const { code, message, status } = error;
    return {
      status,
      headers: {
        'cache-control': 'no-store',
        'www-authenticate': challenges,
        ...checks.nonceHeader(scheme),
      },
      body: code === undefined ? undefined : { error: code, error_description: message },
    };
  }

  return async function judge(request, requirement) {
    try {
      const presented = presentedToken(request.header('authorization'));
      const token = await checks.admit(request, presented, requirement);
      return { token, headers: checks.nonceHeader(presented.scheme) };
    } catch (error) {
      return { refusal: refused(error, request) };
    }
  };
}

const unavailable: RefusalAnswer = {
  status: 503,
  headers: { 'cache-control': 'no-store', 'retry-after': '5' },
  body: { error: 'temporarily_unavailable' },
};

/** What is asked of the issuer. */
function createSources(settings: Settings) {
  const issuer = createIssuer(settings);
  return {
    verifyJwt: createJwtVerifier(settings, createKeySet({ ...settings, issuer })),
    introspect: createIntrospection(issuer, settings),
    findConsent: createConsentFinder(issuer, settings),
  };
}

/** What has become of a token since it was signed. */
function createPresent(
  settings: Settings,
  { introspect, findConsent }: ReturnType<typeof createSources>,
) {
  return {
    /** What a JWT said when it was signed, less what has ended since. */
    async scopes(value: string, token: AccessToken): Promise<AccessToken> {
      if (settings.introspection !== 'always' || !isJwt(value)) return token;
      const { scopes } = accessTokenOf(await introspect(value));
      return { ...token, scopes: token.scopes.filter((scope) => scopes.includes(scope)) };
    },

    async withConsent(token: AccessToken): Promise<AccessToken> {
      if (!settings.consents || token.consentId === undefined) return token;
      const consent = await findConsent(token.consentId);
      if (consent.clientId === token.clientId) return { ...token, consent };
      throw new Refusal('invalid_token', 'the consent is of another client');
    },
  };
}

function createChecks(settings: Settings, given: ReplayMemory | undefined) {
  const { now, clockLeadSeconds: lead, dpop } = settings;
  const sources = createSources(settings);
  const { verifyJwt, introspect } = sources;
  const present = createPresent(settings, sources);
  const findCertificate = createCertificateFinder(settings.proxy);
  const nonces = dpop.nonceSecret && createNonces(dpop.nonceSecret, now);
  const replays = given ?? createReplayMemory(now);
  const seconds = () => Math.floor(now().getTime() / 1000);

  /** A JWT without asking anybody; an opaque one by introspection. */
  async function claimsOf(token: string): Promise<Readonly<Record<string, unknown>>> {
    if (isJwt(token)) return verifyJwt(token);
    if (settings.introspection !== 'never') return introspect(token);
    throw new Refusal('invalid_token', 'the token is not valid here');
  }

  async function proofOf(
    { method, target, header }: ProtectedRequest,
    { scheme, value }: PresentedToken,
  ): Promise<Proof | undefined> {
    if (scheme === 'Bearer') return undefined;
    const urls = target.startsWith('/') ? dpop.origins.map((origin) => origin + target) : [];
    const proven = { method, urls, accessToken: value };
    const proof = await verifyProof(header('dpop'), proven, { now: seconds(), lead });
    nonces?.check(proof.nonce);
    return proof;
  }

  /** Asked after the token's signature and binding, so that only holders of good tokens fill the memory. */
  async function rejectReplay({ id }: Proof): Promise<void> {
    const expiresAt = new Date(now().getTime() + proofMemorySeconds(lead) * 1000);
    if (await replays.firstUse(id, expiresAt)) return;
    throw new Refusal('invalid_dpop_proof', 'the proof was used before');
  }

  return {
    nonceHeader(scheme: 'Bearer' | 'DPoP'): Record<string, string> {
      return scheme === 'DPoP' && nonces !== undefined ? { 'dpop-nonce': nonces.current() } : {};
    },

    /** Each step in its order: what costs a question to somebody else comes after what does not. */
    async admit(
      request: ProtectedRequest,
      presented: PresentedToken,
      requirement: Requirement,
    ): Promise<AccessToken> {
      const claims = await claimsOf(presented.value);
      const signed = accessTokenOf(claims);
      const proof = await proofOf(request, presented);
      const shown = { certificate: findCertificate(request), key: proof?.key };
      checkBinding(claims['cnf'], shown, settings.unboundTokens);
      if (proof !== undefined) await rejectReplay(proof);
      const current = await present.scopes(presented.value, signed);
      checkRequirementOf(requirement, current, seconds());
      const token = await present.withConsent(current);
      checkConsentOf(requirement, token);
      return token;
    },
  };
}

import { clockLeadSeconds, epochSeconds, secondsFromNow } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Credential } from './credentials.ts';
import type { EdgeCertificate, EdgeToken, FirstUse } from './edge-ports.ts';
import type { OriginalRequest } from './original-request.ts';
import type { Nonces } from './resource-server/dpop-nonce.ts';
import { proofMemorySeconds, verifyProof } from './resource-server/dpop-proof.ts';
import { Refusal } from './resource-server/refusal.ts';
import { checkBinding } from './resource-server/sender.ts';
import type { EdgeRoute } from './route-policy.ts';

/** What the sender of a token is checked with. */
export interface SenderCheckDependencies {
  /** Where callers reach the gateway. */
  origins: readonly string[];
  firstUse: FirstUse;
  /** Where proofs need a nonce. */
  nonces: Pick<Nonces, 'check'> | undefined;
  clock: Clock;
}

interface SentRequest {
  original: OriginalRequest;
  route: EdgeRoute;
  header: (name: string) => readonly string[];
  certificate: EdgeCertificate | undefined;
}

/**
 * Checks that a token comes from whom it is bound to (RFC 8705 §3, RFC 9449 §7.1). Rejects with a {@link Refusal}.
 */
export function createSenderCheck(deps: SenderCheckDependencies) {
  const { clock } = deps;

  async function proofOf({ original, header }: SentRequest, accessToken: string) {
    const { method, target } = original;
    const urls = deps.origins.map((origin) => origin + target);
    const time = { now: epochSeconds(clock), lead: clockLeadSeconds };
    const proof = await verifyProof(header('dpop'), { method, urls, accessToken }, time);
    deps.nonces?.check(proof.nonce);
    return proof;
  }

  async function rejectReplay({ id, key }: { id: string; key: string }): Promise<void> {
    const expiresAt = secondsFromNow(clock, proofMemorySeconds(clockLeadSeconds));
    if (await deps.firstUse({ issuer: `edge ${key}`, jti: id, expiresAt })) return;
    throw new Refusal('invalid_dpop_proof', 'the proof was used before');
  }

  return async function checkSender(
    request: SentRequest,
    { scheme, value }: Credential & { kind: 'token' },
    { certificateThumbprint, keyThumbprint }: EdgeToken,
  ): Promise<void> {
    const proof = scheme === 'DPoP' ? await proofOf(request, value) : undefined;
    const { certificate, route } = request;
    const shown = { certificate: certificate?.thumbprint, key: proof?.key };
    checkBinding(confirmationOf(certificateThumbprint, keyThumbprint), shown, route.unboundTokens);
    if (certificateThumbprint !== undefined && certificate?.refusal !== undefined) {
      throw new Refusal('invalid_token', 'the certificate is not accepted');
    }
    if (proof !== undefined) await rejectReplay(proof);
  };
}

/** RFC 7800 `cnf`. */
function confirmationOf(certificate: string | undefined, key: string | undefined) {
  if (certificate === undefined && key === undefined) return undefined;
  return {
    ...(certificate === undefined ? {} : { 'x5t#S256': certificate }),
    ...(key === undefined ? {} : { jkt: key }),
  };
}

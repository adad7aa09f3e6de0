import type Koa from 'koa';
import { currentRequest } from '../../observability/request-context.ts';
import { Problem } from '../../problem.ts';
import type { createProofJudge } from '../../security/dpop-proof.ts';
import type { CertificateSource } from '../../tls/certificate-source.ts';
import type { OwnToken } from '../tokens/client-tokens.ts';

/** What tells who asks. */
export interface GrantAccess {
  issuer: string;
  mtlsOrigin: string;
  /** What tokens must be for. */
  resource: string;
  findClientToken: (token: string) => Promise<OwnToken | undefined>;
  certificates: Pick<CertificateSource, 'of'>;
  proofs: ReturnType<typeof createProofJudge>;
}

/**
 * The client that a request is from: it needs a client-credentials token of its own with `scope`, bound to the certificate
 * of the connection (RFC 8705 §3) or to the key of a DPoP proof (RFC 9449 §7). Problem('invalid_token'), or
 * Problem('insufficient_scope') for a good token without the scope; both with their challenge.
 */
export async function authorizeClient(
  ctx: Koa.Context,
  access: GrantAccess,
  scope: string,
): Promise<string> {
  const { scheme, value } = presentedIn(ctx);
  if (scheme === 'DPoP') ctx.set('DPoP-Nonce', access.proofs.nonce());
  try {
    return await clientOf(ctx, { ...access, scheme, value, scope });
  } catch (error) {
    // RFC 6750 §3 has no challenge for who asked too often, or when nobody can tell.
    if (error instanceof Problem && challenged.has(error.code)) {
      const of = error.code === 'insufficient_scope' ? `, scope="${scope}"` : '';
      const proofError = ctx.state['proofError'] as string | undefined;
      ctx.set('WWW-Authenticate', `${scheme} error="${proofError ?? error.code}"${of}`);
    }
    throw error;
  }
}

const challenged = new Set<string>(['invalid_token', 'insufficient_scope']);

interface Presented {
  scheme: 'Bearer' | 'DPoP';
  value: string;
}

/** RFC 6750 §2.1: in the header only. */
function presentedIn(ctx: Koa.Context): Presented {
  const [, name = '', value = ''] =
    /^(bearer|dpop) +([\w.~+/-]{1,8192}=*)$/i.exec(ctx.get('Authorization')) ?? [];
  return { scheme: name.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', value };
}

async function clientOf(
  ctx: Koa.Context,
  asked: GrantAccess & Presented & { scope: string },
): Promise<string> {
  if (asked.value === '') throw refused('there is no token');
  const token = await asked.findClientToken(asked.value);
  if (token === undefined) throw refused('the token is no valid client-credentials token');
  if (!token.audiences.includes(asked.resource)) throw refused('the token is for another API');
  if (token.keyThumbprint === undefined) rejectOtherCertificate(ctx, token, asked);
  else await rejectOtherKey(ctx, token.keyThumbprint, asked);
  if (!token.scopes.includes(asked.scope)) {
    throw new Problem('insufficient_scope', { detail: `the token has no scope ${asked.scope}` });
  }
  return token.clientId;
}

function rejectOtherCertificate(
  ctx: Koa.Context,
  { thumbprint }: OwnToken,
  { certificates, scheme }: GrantAccess & Presented,
): void {
  if (thumbprint === undefined) throw refused('the token is bound to nothing');
  if (scheme === 'DPoP') throw refused('the token is bound to a certificate, not to a key');
  const presented = certificates.of(ctx.req);
  if (presented?.refusal !== undefined) throw refused(presented.refusal);
  if (presented?.thumbprint !== thumbprint) throw refused('the token is bound to a certificate');
}

async function rejectOtherKey(
  ctx: Koa.Context,
  keyThumbprint: string,
  { proofs, scheme, value, issuer, mtlsOrigin }: GrantAccess & Presented,
): Promise<void> {
  if (scheme !== 'DPoP') throw refused('the token is bound to a key');
  const origin = currentRequest()?.listener === 'mtls' ? mtlsOrigin : issuer;
  const request = { method: ctx.method, url: origin + ctx.path, accessToken: value };
  const judged = await proofs.judge(ctx.get('DPoP'), request);
  if ('error' in judged) {
    ctx.state['proofError'] = judged.error; // the challenge calls it so (RFC 9449 §7.1)
    throw refused(judged.description);
  }
  if (judged.keyThumbprint !== keyThumbprint) throw refused('the proof is of another key');
}

function refused(detail: string): Problem {
  return new Problem('invalid_token', { detail });
}

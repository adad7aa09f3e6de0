import { hkdfSync } from 'node:crypto';
import type Koa from 'koa';
import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../clock.ts';
import { createEncryption } from '../security/encryption.ts';
import type { Bytes } from './artifact-codec.ts';

/**
 * A retried refresh: the answer to a rotation got lost and the client asks again with the token that it still has. Who
 * proves to be the same sender within seconds gets the same answer; anybody else has replayed a token, and the family
 * ends.
 */
interface Retry {
  /** What the first request was answered with, sealed under the presented token. */
  answer: Bytes;
}

/** Requests that presented a used refresh token, by their Koa context. */
const retries = new WeakMap<object, Retry>();
const replays = new WeakMap<object, { grantId: string | undefined }>();

/**
 * Whether using up an artifact of this kind is followed by storing a refresh token: a rotated one's successor, or the
 * first one of a client that may have one.
 */
export function storesRefreshToken(ctx: KoaContextWithOIDC, kind: string): boolean {
  if (kind === 'RefreshToken') return true;
  return (
    kind === 'AuthorizationCode' && ctx.oidc.client?.grantTypeAllowed('refresh_token') === true
  );
}

/** Whether the sender of a refresh has proven to be the token's client: by its authentication, or by the token's key. */
function isProvenSender(ctx: KoaContextWithOIDC): boolean {
  const { client, entities } = ctx.oidc;
  const token = entities.RotatedRefreshToken ?? entities.RefreshToken;
  const isBound = token?.['x5t#S256'] !== undefined || token?.jkt !== undefined;
  return client?.clientAuthMethod !== 'none' || isBound;
}

/** Whether a lost race for a refresh token is the sender's own second request. */
export function isOwnRetry(ctx: KoaContextWithOIDC | undefined, kind: string): boolean {
  return kind === 'RefreshToken' && ctx !== undefined && isProvenSender(ctx);
}

/**
 * Hides from oidc-provider that a refresh token was used where its answer may be given again: then it checks the sender
 * as for any refresh, and ends the family for everybody else.
 */
export function recallAnswer(
  payload: AdapterPayload,
  row: { consumedAt: Date | null; answer: Bytes | null },
  { ctx, clock, retrySeconds }: { ctx: object | undefined; clock: Clock; retrySeconds: number },
): AdapterPayload {
  if (row.consumedAt === null || ctx === undefined) return payload;
  replays.set(ctx, { grantId: payload.grantId });
  const age = clock.now().getTime() - row.consumedAt.getTime();
  if (row.answer === null || age > retrySeconds * 1000) return payload;
  retries.set(ctx, { answer: row.answer });
  return { ...payload, consumed: undefined };
}

/** Whether this request's refresh token is to be rotated: not when it is a retry, whose answer is there already. */
export function isRetry(ctx: object): boolean {
  return retries.has(ctx);
}

/** Where answers are kept and families end; the artifact store fits. */
interface Families {
  rememberAnswer(refreshToken: string, answer: Bytes): Promise<void>;
  destroyGrant(grantId: string): Promise<void>;
}

interface Dependencies {
  artifacts: Families;
  retrySeconds: number;
  /** Whether public clients that prove nothing get their answer again as well. */
  retryUnproven: boolean;
}

/** Remembers the answers to rotations, gives them again, and ends the family after any other reuse. */
export function answerRetries(dependencies: Dependencies): Koa.Middleware {
  const { artifacts, retrySeconds, retryUnproven } = dependencies;

  return async function answerRetry(ctx, next) {
    await next();
    const reached = ctx as unknown as KoaContextWithOIDC;
    const presented = presentedToken(reached);
    if (presented === undefined) return;
    const isAnswered = ctx.status === 200;
    const retry = retries.get(ctx);
    if (!isAnswered) await endFamily(ctx, artifacts);
    else if (retry !== undefined) ctx.body = JSON.parse(open(retry.answer, presented)) as object;
    else if (retrySeconds > 0 && (retryUnproven || isProvenSender(reached))) {
      if (reached.oidc.entities.RotatedRefreshToken === undefined) return;
      await artifacts.rememberAnswer(presented, seal(JSON.stringify(ctx.body), presented));
    }
  };
}

/** A used token that was refused, whatever the reason, was in wrong hands or is now. */
async function endFamily(ctx: object, artifacts: Families): Promise<void> {
  const grantId = replays.get(ctx)?.grantId;
  if (grantId !== undefined) await artifacts.destroyGrant(grantId);
}

function presentedToken(ctx: KoaContextWithOIDC): string | undefined {
  // Before the engine has matched a route there is no `oidc`.
  const oidc = (ctx as Partial<KoaContextWithOIDC>).oidc;
  if (oidc?.route !== 'token' || oidc.params?.['grant_type'] !== 'refresh_token') return undefined;
  const token = oidc.params['refresh_token'];
  return typeof token === 'string' ? token : undefined;
}

const context = 'refresh-answer';

/** The database alone can't open an answer: the key is derived from the token that was presented (RFC 5869). */
function encryptionUnder(token: string) {
  const key = hkdfSync('sha256', token, '', 'countersign refresh answer', 32);
  return createEncryption([Buffer.from(key)]);
}

function seal(answer: string, token: string): Bytes {
  return encryptionUnder(token).seal(answer, context);
}

function open(answer: Bytes, token: string): string {
  return encryptionUnder(token).open(answer, context);
}

import { hkdfSync } from 'node:crypto';
import type Koa from 'koa';
import { setTimeout as wait } from 'node:timers/promises';
import { errors } from 'oidc-provider';
import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import { createEncryption } from '../../security/encryption.ts';
import type { Bytes } from '../storage/artifact-codec.ts';

/**
 * A retried refresh: the answer to a rotation got lost and the client asks again with the token that it still has. Who
 * proves to be the same sender within seconds gets the same answer; anybody else has replayed a token, and the family
 * ends.
 */
interface Reuse {
  grantId: string | undefined;
  /** How long ago the token was used first. */
  ageMs: number;
  /** What the first use was answered with, sealed; set by {@link mayRotate} where the sender may have it again. */
  answer?: Bytes;
  /** The first use ended before it was answered: this one takes its place. */
  isSubstitute?: boolean;
}

/** Requests that presented a used refresh token, by their Koa context. */
const reuses = new WeakMap<object, Reuse>();
/** Requests that a request of the same sender overtook, by their Koa context. */
const overtaken = new WeakSet();

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

/** Whether a lost race for a refresh token is the sender's own second request; it then gets the first one's answer. */
export function isOwnRetry(
  ctx: KoaContextWithOIDC | undefined,
  kind: string,
  policy: RetryPolicy,
): boolean {
  if (kind !== 'RefreshToken' || ctx === undefined) return false;
  if (policy.retrySeconds === 0 || !isEntitled(ctx, policy)) return false;
  overtaken.add(ctx);
  return true;
}

/** Whether this request lost a race against another one of its sender: it is about to get that one's answer. */
export function isOvertaken(ctx: object): boolean {
  return overtaken.has(ctx);
}

/** Whether this request rotates a token once more, because the first rotation never got as far as its answer. */
export function isSubstitute(ctx: object): boolean {
  return reuses.get(ctx)?.isSubstitute === true;
}

/**
 * Hides from oidc-provider that a refresh token was used: then it checks the sender as for any refresh, and what a reuse
 * means is decided here, in {@link mayRotate} and {@link answerRetries}.
 */
export function noteReuse(
  payload: AdapterPayload,
  row: { consumedAt: Date | null },
  { ctx, clock }: { ctx: object | undefined; clock: Clock },
): AdapterPayload {
  if (row.consumedAt === null || ctx === undefined) return payload;
  const ageMs = clock.now().getTime() - row.consumedAt.getTime();
  reuses.set(ctx, { grantId: payload.grantId, ageMs });
  return { ...payload, consumed: undefined };
}

/** Told of a second use, with the artifact's kind and the client that presented it. */
export type ReplayListener = (kind: string, clientId: string | undefined) => void;

/** Which reuses get their answer again. */
export interface RetryPolicy {
  /** 0 means none. */
  retrySeconds: number;
  /** Whether public clients that prove nothing get their answer again as well. */
  retryUnproven: boolean;
}

/** What deciding about a reuse takes: the policy, and where answers are kept. */
export interface RetryDecision extends RetryPolicy {
  artifacts: Pick<Families, 'findAnswer'>;
}

/**
 * Asked once everything about the sender has been checked: whether the presented refresh token may be rotated now.
 * False for a retry whose answer is there; true where the first use ended before it could be answered (a crash), for an
 * answer is kept before it is sent. Any other reuse is refused.
 */
export async function mayRotate(
  ctx: KoaContextWithOIDC,
  decision: RetryDecision,
): Promise<boolean> {
  const reuse = reuses.get(ctx);
  if (reuse === undefined) return true;
  if (reuse.ageMs >= decision.retrySeconds * 1000 || !isEntitled(ctx, decision)) {
    throw new errors.InvalidGrant('refresh token already used');
  }
  const answer = await awaitAnswer(presentedToken(ctx) ?? '', decision.artifacts);
  if (answer === undefined) reuse.isSubstitute = true;
  else reuse.answer = answer;
  return answer === undefined;
}

function isEntitled(ctx: KoaContextWithOIDC, { retryUnproven }: RetryPolicy): boolean {
  return retryUnproven || isProvenSender(ctx);
}

/** Where answers are kept and families end; the artifact store fits. */
interface Families {
  /** False when another answer is remembered already, which stands. */
  rememberAnswer(refreshToken: string, answer: Bytes): Promise<boolean>;
  findAnswer(refreshToken: string): Promise<Bytes | undefined>;
  destroyGrant(grantId: string): Promise<void>;
}

interface Dependencies extends RetryPolicy {
  artifacts: Families;
  /** Told of a reuse that was no retry; the family has ended by then. */
  onReplay: ReplayListener;
}

/** Remembers the answers to rotations, gives them again, and ends the family after any other reuse. */
export function answerRetries(dependencies: Dependencies): Koa.Middleware {
  const { artifacts, retrySeconds } = dependencies;

  async function afterSuccess(ctx: KoaContextWithOIDC, presented: string): Promise<void> {
    const answer = reuses.get(ctx)?.answer;
    if (answer !== undefined) {
      ctx.body = JSON.parse(open(answer, presented)) as object;
      return;
    }
    const isRotated = ctx.oidc.entities.RotatedRefreshToken !== undefined;
    if (!isRotated || retrySeconds === 0 || !isEntitled(ctx, dependencies)) return;
    const sealed = seal(JSON.stringify(ctx.body), presented);
    // Whoever was given up for lost may come after all: then both say what the other one kept.
    if (!(await artifacts.rememberAnswer(presented, sealed))) {
      await repeatAnswer(ctx, presented, artifacts);
    }
  }

  async function endFamily(ctx: KoaContextWithOIDC, { grantId }: Reuse): Promise<void> {
    if (grantId === undefined) return;
    await artifacts.destroyGrant(grantId);
    dependencies.onReplay('RefreshToken', ctx.oidc.client?.clientId);
  }

  return async function answerRetry(context, next) {
    await next();
    const ctx = context as unknown as KoaContextWithOIDC;
    const presented = presentedToken(ctx);
    const reuse = reuses.get(ctx);
    // A failure of ours says nothing about the sender.
    if (presented === undefined || ctx.status >= 500) return;
    if (overtaken.has(ctx)) await repeatAnswer(ctx, presented, artifacts);
    else if (ctx.status === 200) await afterSuccess(ctx, presented);
    // Refused, whatever the reason: the token was in wrong hands or is now.
    else if (reuse !== undefined) await endFamily(ctx, reuse);
  };
}

/** The first request may still be on its way to its answer: a second is longer than any takes. */
const patience = { attempts: 20, pauseMs: 50 };

async function awaitAnswer(
  presented: string,
  artifacts: Pick<Families, 'findAnswer'>,
): Promise<Bytes | undefined> {
  for (let attempt = 0; attempt < patience.attempts; attempt += 1) {
    const answer = await artifacts.findAnswer(presented);
    if (answer !== undefined) return answer;
    await wait(patience.pauseMs);
  }
  return undefined;
}

async function repeatAnswer(
  ctx: KoaContextWithOIDC,
  presented: string,
  artifacts: Families,
): Promise<void> {
  const answer = await awaitAnswer(presented, artifacts);
  if (answer === undefined) {
    throw new Problem('temporarily_unavailable', { detail: 'the first refresh got no answer' });
  }
  ctx.status = 200;
  ctx.body = JSON.parse(open(answer, presented)) as object;
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

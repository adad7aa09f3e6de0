import type Provider from 'oidc-provider';
import type { AccessToken, ClientCredentials, KoaContextWithOIDC, errors } from 'oidc-provider';
import type { AuditEntry, AuditEventType } from '../audit/events.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { RequestContext } from '../observability/request-context.ts';
import { proofReplayed } from './requests/dpop.ts';
import { sha256Text } from '../security/secrets.ts';
import { codeOf } from './error-codes.ts';
import { tooManyRequests } from './clients/limited-clients.ts';
import type { Recorder } from './ports.ts';
import { isOvertaken } from './tokens/refresh-retries.ts';
import { isActiveAnswer } from './tokens/signed-introspection.ts';

interface Dependencies {
  audit: Recorder;
  metrics: Pick<Metrics, 'tokensIssued' | 'refusals'>;
  currentRequest: () => RequestContext | undefined;
}

type OidcError = errors.OIDCProviderError;
type Refusal = OidcError | Error;

/** Events of oidc-provider that tell of a refusal, and what the audit trail calls them. */
const refusals = {
  'pushed_authorization_request.error': 'authorization.push_refused',
  'authorization.error': 'authorization.refused',
  'grant.error': 'token.refused',
  'introspection.error': 'token.introspection_refused',
  'revocation.error': 'token.revocation_refused',
  'userinfo.error': 'userinfo.refused',
  'end_session.error': 'logout.refused',
  'end_session_confirm.error': 'logout.refused',
} as const satisfies Record<string, AuditEventType>;

/** What is said of something that comes again later; of races and refresh tokens we tell ourselves. */
const replays: Partial<Record<string, string>> = {
  'authorization code already consumed': 'AuthorizationCode',
  'client assertion tokens must only be used once': 'client assertion',
  [proofReplayed]: 'DPoP proof',
};

/**
 * Turns oidc-provider's events into audit events and metrics. Its emitter is synchronous and a listener that throws
 * fails the request, so every listener only enqueues.
 */
export function recordEvents(provider: Provider, dependencies: Dependencies): void {
  const record = (entry: AuditEntry) => {
    dependencies.audit.record(entry);
  };
  recordAuthorizations(provider, record);
  recordTokens(provider, dependencies);
  recordLogouts(provider, record);
  const emitter: NodeJS.EventEmitter = provider;
  for (const [event, type] of Object.entries(refusals)) {
    emitter.on(event, (ctx: KoaContextWithOIDC, error: Refusal) => {
      if (isOvertaken(ctx)) return; // answered by the request that overtook it
      const reason = reasonOf(error, dependencies.currentRequest());
      if (codeOf(error) === tooManyRequests) return; // counted by the limits; told once: rate_limit.exceeded
      dependencies.metrics.refusals.increment({ endpoint: endpointOf(ctx), error: codeOf(error) });
      record({
        ...partiesOf(ctx),
        type: isClientAuthentication(error) ? 'client.authentication_failed' : type,
        outcome: 'refused',
        detail: { error: codeOf(error), reason },
      });
      const { error_detail: told, error_description: said } = error as Partial<OidcError>;
      const kind = replays[told ?? said ?? ''];
      if (kind === undefined) return;
      record({ ...partiesOf(ctx), type: 'replay.detected', outcome: 'refused', detail: { kind } });
    });
  }
  provider.on('server_error', (ctx: KoaContextWithOIDC) => {
    dependencies.metrics.refusals.increment({ endpoint: endpointOf(ctx), error: 'server_error' });
  });
}

type Record_ = (entry: AuditEntry) => void;

function recordAuthorizations(provider: Provider, record: Record_): void {
  provider.on('pushed_authorization_request.success', (ctx) => {
    const detail = { scope: ctx.oidc.params?.['scope'], boundTo: ctx.oidc.params?.['dpop_jkt'] };
    record({ ...partiesOf(ctx), type: 'authorization.pushed', outcome: 'success', detail });
  });
  provider.on('interaction.started', (ctx, prompt) => {
    record({
      ...partiesOf(ctx),
      type: 'authorization.requested',
      outcome: 'success',
      detail: { prompt: prompt.name, scope: ctx.oidc.params?.['scope'] },
    });
  });
  provider.on('authorization.success', (ctx) => {
    record({ ...partiesOf(ctx), type: 'authorization.granted', outcome: 'success' });
  });
  provider.on('grant.revoked', (ctx) => {
    record({ ...partiesOf(ctx), type: 'grant.revoked', outcome: 'success' });
  });
}

function recordTokens(provider: Provider, listeners: TokenListeners): void {
  provider.on('grant.success', (ctx) => {
    const grantType = String(ctx.oidc.params?.['grant_type']);
    const token = ctx.oidc.entities.AccessToken ?? ctx.oidc.entities.ClientCredentials;
    if (token === undefined) return;
    const format = token.resourceServer?.accessTokenFormat === 'jwt' ? 'jwt' : 'opaque';
    recordToken(listeners, { parties: partiesOf(ctx), grantType, format, token });
  });
}

/** Who are told of tokens. */
export interface TokenListeners {
  audit: Recorder;
  metrics: Pick<Metrics, 'tokensIssued'>;
}

/** A token that was issued. */
interface IssuedToken {
  parties: Parties;
  grantType: string;
  format: 'jwt' | 'opaque';
  token: TokenFacts;
}

/** Counts a token and notes it in the audit trail. */
export function recordToken(
  { audit, metrics }: TokenListeners,
  { parties, grantType, format, token }: IssuedToken,
): void {
  metrics.tokensIssued.increment({ grant_type: grantType, format });
  audit.record({
    ...parties,
    type: grantType === 'refresh_token' ? 'token.refreshed' : 'token.issued',
    outcome: 'success',
    detail: { grantType, format, ...tokenFacts(token, format) },
  });
}

type TokenFacts = Pick<AccessToken | ClientCredentials, 'jti' | 'aud' | 'scope'> &
  Partial<Pick<AccessToken, 'extra' | 'x5t#S256' | 'jkt'>>;

/** An opaque token's `jti` is the token itself, so only a JWT's is kept, and of both its SHA-256. */
function tokenFacts(token: TokenFacts, format: 'jwt' | 'opaque') {
  return {
    jti: format === 'jwt' ? token.jti : undefined,
    digest: sha256Text(token.jti),
    consent: token.extra?.['consent_id'],
    audience: token.aud,
    scope: token.scope,
    boundTo: token['x5t#S256'] ?? token.jkt,
  };
}

function recordLogouts(provider: Provider, record: Record_): void {
  provider.on('end_session.success', (ctx) => {
    record({ ...partiesOf(ctx), type: 'logout.completed', outcome: 'success' });
  });
  provider.on('backchannel.success', (ctx, client, accountId) => {
    const parties = { ...partiesOf(ctx), clientId: client.clientId, customerId: accountId };
    record({ ...parties, type: 'backchannel_logout.sent', outcome: 'success' });
  });
  provider.on('backchannel.error', (ctx, error, ...[client, accountId]) => {
    const parties = { ...partiesOf(ctx), clientId: client.clientId, customerId: accountId };
    const detail = { reason: error.message };
    record({ ...parties, type: 'backchannel_logout.failed', outcome: 'error', detail });
  });
}

/** Endpoints without a success event of their own: recorded when their answer is known. */
export function recordAnswer(ctx: KoaContextWithOIDC, audit: Recorder): void {
  if (ctx.status !== 200) return;
  const types: Partial<Record<string, AuditEventType>> = {
    introspection: 'token.introspected',
    revocation: 'token.revoked',
    userinfo: 'userinfo.read',
  };
  const type = types[ctx.oidc.route];
  if (type === undefined || ctx.method === 'OPTIONS') return;
  const { entities } = ctx.oidc;
  const found = entities.AccessToken ?? entities.ClientCredentials ?? entities.RefreshToken;
  const detail = { tokenKind: found?.kind, tokenClient: found?.clientId };
  if (type === 'token.revoked') recordRevocation(ctx, audit, detail);
  else if (type === 'token.introspected') recordIntrospection(ctx, audit, detail);
  else audit.record({ ...partiesOf(ctx), type, outcome: 'success', detail });
}

/** RFC 7662 §2.2: the answer is a success also for a token that the asker learns nothing about. */
function recordIntrospection(
  ctx: KoaContextWithOIDC,
  audit: Recorder,
  detail: Record<string, unknown>,
): void {
  const active = isActiveAnswer(ctx.body);
  const type = 'token.introspected';
  audit.record({ ...partiesOf(ctx), type, outcome: 'success', detail: { ...detail, active } });
}

/** RFC 7009 §2.2 has us say 200 to every client that authenticates: also where there was nothing of its own to end. */
function recordRevocation(
  ctx: KoaContextWithOIDC,
  audit: Recorder,
  detail: { tokenKind: string | undefined; tokenClient: string | undefined },
): void {
  if (detail.tokenKind === undefined) return;
  const isOwn = detail.tokenClient === ctx.oidc.client?.clientId;
  const entry = isOwn
    ? ({ type: 'token.revoked', outcome: 'success', detail } as const)
    : ({
        type: 'token.revocation_refused',
        outcome: 'refused',
        detail: { ...detail, reason: 'the token is of another client' },
      } as const);
  audit.record({ ...partiesOf(ctx), ...entry });
}

const browserRoutes = new Set(['authorization', 'resume', 'end_session', 'end_session_confirm']);

type Parties = Pick<AuditEntry, 'actor' | 'clientId' | 'customerId'>;

function partiesOf(ctx: KoaContextWithOIDC): Parties {
  const clientId = ctx.oidc.client?.clientId;
  const customerId = ctx.oidc.account?.accountId ?? ctx.oidc.session?.accountId;
  const actor = browserRoutes.has(ctx.oidc.route)
    ? ({ type: 'customer', id: customerId } as const)
    : ({ type: 'client', id: clientId } as const);
  return {
    actor: actor.id === undefined ? { type: actor.type } : { type: actor.type, id: actor.id },
    ...(clientId === undefined ? {} : { clientId }),
    ...(customerId === undefined ? {} : { customerId }),
  };
}

function endpointOf(ctx: KoaContextWithOIDC): string {
  // Early failures come before oidc-provider has a context.
  return (ctx as Partial<KoaContextWithOIDC>).oidc?.route ?? 'other';
}

function isClientAuthentication(error: Refusal): boolean {
  return codeOf(error) === 'invalid_client';
}

/** What the engine says of a certificate that {@link RequestContext.reason} tells why we withheld. */
const notProvided = 'client certificate was not provided';

/** The whole reason, which never goes out: what the certificate check noted, then of the error and of what caused it. */
function reasonOf(error: Refusal, request: RequestContext | undefined): string {
  const noted = request?.reason;
  const said = wordsOf(error).filter((words) => noted === undefined || words !== notProvided);
  const words = [...new Set([noted, ...said])].filter(Boolean);
  return words.join('; ').replaceAll(/\s+/g, ' ');
}

/** oidc-provider keeps a failed request to a client's server three causes down. */
const maxCauses = 5;

function wordsOf(error: unknown, depth = 0): (string | undefined)[] {
  if (!(error instanceof Error) || depth > maxCauses) return [];
  const { error_description: description, error_detail: detail } = error as Partial<OidcError>;
  const { scope } = error as { scope?: string };
  const own = description === undefined ? [error.message] : [description, detail, scope];
  return [...own, ...wordsOf(error.cause, depth + 1)];
}

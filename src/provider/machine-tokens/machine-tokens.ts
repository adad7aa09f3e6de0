import type Koa from 'koa';
import { errors } from 'oidc-provider';
import newTokenId from 'oidc-provider/lib/helpers/nanoid.js';
import type { Client } from 'oidc-provider';
import { epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { Problem } from '../../problem.ts';
import type { CertificateRules } from '../clients/certificates.ts';
import { recordToken } from '../events.ts';
import type { TokenListeners } from '../events.ts';
import { grantResourceOf, isAboutGrants } from '../grants/grant-resource.ts';
import type { Clients, Limits, ResourceServers, TokenAudience } from '../ports.ts';
import { permittedScopes, resourceScopesAmong } from '../requests/resources.ts';
import type { OwnMessage } from '../tokens/signed-messages.ts';
import { readPlainRequest } from './plain-request.ts';
import type { PlainRequest } from './plain-request.ts';

/** What machines' tokens stand on. */
export interface MachineTokenDependencies extends TokenListeners {
  metrics: Pick<Metrics, 'tokensIssued' | 'refusals'>;
  issuer: string;
  defaultResource: string | undefined;
  /** The engine's own object of a client, made of metadata that the engine found to be in order. */
  findClient(id: string): Promise<Client | undefined>;
  clients: Pick<Clients, 'permissionsOf'>;
  resourceServers: Pick<ResourceServers, 'find'>;
  certificateRules: CertificateRules;
  limits: Limits;
  /** Whether a key signs with the algorithm now. */
  signs: (algorithm: string) => boolean;
  sign(message: OwnMessage): Promise<string>;
  clock: Clock;
}

/**
 * Issues the tokens that resource servers see most: JWTs for clients that authenticate by certificate and ask for scopes
 * that they may have (RFC 6749 §4.4, RFC 8705, RFC 9068), at some two thirds of what the engine takes for one.
 *
 * It says yes only. Whatever is refused, faulty, rare or merely unusual goes on to `next`, which is the engine, with the
 * body unread: so there is one place that refuses, and nothing is let through here that the engine would not.
 */
export function issueMachineTokens(deps: MachineTokenDependencies): Koa.Middleware {
  return async (ctx, next) => {
    if (!(await issues(deps, ctx))) await next();
  };
}

/** Whether it answered. What fails on our side is not tried again by the engine, and told as there. */
async function issues(deps: MachineTokenDependencies, ctx: Koa.Context): Promise<boolean> {
  try {
    const request = await readPlainRequest(ctx);
    const entitled = request && (await entitledTo(deps, ctx, request));
    if (entitled === undefined) return false;
    const excess = await deps.limits.excess('client', entitled.clientId);
    if (excess !== undefined) return false; // asked again, the limits say the same
    await issue(deps, ctx, entitled);
    return true;
  } catch (error) {
    ctx.state['route'] = route;
    // The one fault of a caller's that is told here: there is no body to leave to the engine.
    const isCallers = error instanceof Problem && error.code === 'invalid_request';
    const told = isCallers ? error.code : 'server_error';
    deps.metrics.refusals.increment({ endpoint: route, error: told });
    throw error;
  }
}

/** As log and metrics call the endpoint. */
const route = 'token';

/** A token that a client has proved to be entitled to. */
interface Entitled {
  clientId: string;
  scopes: readonly string[];
  audience: TokenAudience;
  /** `x5t#S256` of the certificate that the token is bound to (RFC 8705 §3.1). */
  thumbprint: string;
}

async function entitledTo(
  deps: MachineTokenDependencies,
  ctx: Koa.Context,
  request: PlainRequest,
): Promise<Entitled | undefined> {
  const { clientId, scopes } = request;
  const client = await findClient(deps, clientId);
  if (client === undefined || !isMachine(client)) return undefined;
  const thumbprint = proveCertificate(deps.certificateRules, ctx, client);
  if (thumbprint === undefined) return undefined;
  const audience = await findAudience(deps, request);
  if (audience === undefined) return undefined;
  const permitted = permittedScopes(await deps.clients.permissionsOf(clientId), audience);
  if (permitted === undefined || !isWithin(permitted, scopes)) return undefined;
  return { clientId, scopes, audience, thumbprint };
}

/** The resource server that is named, or the default one, if its tokens are JWTs that can be signed now. */
async function findAudience(
  { resourceServers, defaultResource, issuer, signs }: MachineTokenDependencies,
  { resource, scopes }: PlainRequest,
): Promise<TokenAudience | undefined> {
  const named = resource ?? defaultResource;
  if (named === undefined || named === grantResourceOf(issuer)) return undefined;
  if (!isIndicator(named) || (resource === undefined && isAboutGrants(scopes))) return undefined;
  const audience = await resourceServers.find(named);
  const isFit = audience?.accessTokenFormat === 'jwt' && signs(audience.signingAlgorithm);
  return isFit ? audience : undefined;
}

/** Scopes of OpenID and the names of consents are no resource server's. */
function isWithin(permitted: readonly string[], scopes: readonly string[]): boolean {
  const isOurs = resourceScopesAmong(scopes).length === scopes.length;
  return isOurs && scopes.every((scope) => permitted.includes(scope));
}

/** What the engine finds wrong with a client's metadata is for the engine to say. */
async function findClient(deps: MachineTokenDependencies, id: string): Promise<Client | undefined> {
  try {
    return await deps.findClient(id);
  } catch (error) {
    if (error instanceof errors.OIDCProviderError) return undefined;
    throw error;
  }
}

function isMachine(client: Client): boolean {
  return (
    client.clientAuthMethod === 'tls_client_auth' &&
    client.grantTypeAllowed('client_credentials') &&
    client.tlsClientCertificateBoundAccessTokens === true &&
    client['dpopBoundAccessTokens'] !== true
  );
}

/** RFC 8705 §2.1.2: a client has one of them; where it has several, the engine knows which one counts. */
const subjects = {
  tlsClientAuthSubjectDn: 'tls_client_auth_subject_dn',
  tlsClientAuthSanDns: 'tls_client_auth_san_dns',
  tlsClientAuthSanUri: 'tls_client_auth_san_uri',
  tlsClientAuthSanIp: 'tls_client_auth_san_ip',
  tlsClientAuthSanEmail: 'tls_client_auth_san_email',
} as const;

const subjectMembers = Object.keys(subjects) as (keyof typeof subjects)[];

/** The thumbprint of the certificate, if it is the client's: judged by the very functions that the engine asks. */
function proveCertificate(
  rules: CertificateRules,
  ctx: Koa.Context,
  client: Client,
): string | undefined {
  const registered = subjectMembers.filter((member) => Boolean(client[member]));
  const [member] = registered;
  if (member === undefined || registered.length > 1) return undefined;
  if (rules.getCertificate(ctx) === undefined || !rules.certificateAuthorized(ctx))
    return undefined;
  const matches = rules.certificateSubjectMatches(ctx, subjects[member], String(client[member]));
  return matches ? rules.thumbprintOf(ctx) : undefined;
}

/** RFC 8707 §2: what the engine refuses as a resource indicator. */
function isIndicator(identifier: string): boolean {
  return URL.canParse(identifier) && !identifier.includes('#');
}

async function issue(
  deps: MachineTokenDependencies,
  ctx: Koa.Context,
  { clientId, scopes, audience, thumbprint }: Entitled,
): Promise<void> {
  const jti = newTokenId(); // the engine's: 258 bits, of which it fetches many at a time
  const iat = epochSeconds(deps.clock);
  const scope = scopes.join(' ');
  const claims = {
    jti,
    sub: clientId,
    iat,
    exp: iat + audience.accessTokenTtlSeconds,
    scope,
    client_id: clientId,
    iss: deps.issuer,
    aud: audience.identifier,
    cnf: { 'x5t#S256': thumbprint },
  };
  const algorithm = audience.signingAlgorithm;
  const token = await deps.sign({ type: 'at+jwt', algorithm, claims });
  ctx.req.resume();
  ctx.state['route'] = route;
  recordToken(deps, {
    parties: { actor: { type: 'client', id: clientId }, clientId },
    grantType: 'client_credentials',
    format: 'jwt',
    token: { jti, aud: audience.identifier, scope, 'x5t#S256': thumbprint },
  });
  ctx.body = {
    access_token: token,
    expires_in: audience.accessTokenTtlSeconds,
    scope,
    token_type: 'Bearer',
  };
}

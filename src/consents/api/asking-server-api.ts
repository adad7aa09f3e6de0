import type Koa from 'koa';
import { Problem } from '../../problem.ts';
import type { Consent } from '../consent-codec.ts';
import type { AskingServer, AuthenticateServer } from '../consent-ports.ts';
import type { ConsentStore } from '../consent-store.ts';
import { regimes } from '../regimes/regimes.ts';

interface Dependencies {
  consents: Pick<ConsentStore, 'find'>;
  authenticate: AuthenticateServer;
}

/** Answers a resource server; Problems invalid_token, consent_not_found, method_not_allowed and the answer's own. */
export type AnswerServer = (ctx: Koa.Context, id: string) => Promise<void>;

/** A consent, and the resource server that may know of it. */
export interface AskedConsent {
  consent: Consent;
  server: AskingServer;
  /** The client that the resource server authenticates as. */
  clientId: string;
}

/** Problem('method_not_allowed') for all methods but these. */
export function allowMethods(ctx: Koa.Context, ...methods: readonly string[]): void {
  if (methods.includes(ctx.method)) return;
  ctx.set('Allow', methods.join(', '));
  throw new Problem('method_not_allowed', { detail: ctx.method });
}

/** The resource server authenticates as at introspection. Problems invalid_token, consent_not_found. */
export async function askedConsent(
  ctx: Koa.Context,
  id: string,
  { consents, authenticate }: Dependencies,
): Promise<AskedConsent> {
  const credentials = basicIn(ctx);
  const server = credentials && (await authenticate(credentials.id, credentials.secret));
  if (server === undefined) throw new Problem('invalid_token', { detail: 'no resource server' });
  const consent = await consents.find(id);
  if (consent === undefined || !isFor(server, consent)) {
    throw new Problem('consent_not_found', { detail: `asked by ${server.identifier}` });
  }
  return { consent, server, clientId: credentials?.id ?? '' };
}

/** A resource server learns of consents to what it has itself. */
function isFor({ scopes }: AskingServer, { regime, type }: Consent): boolean {
  return scopes.includes(regimes[regime].scopes[type]);
}

const basic = /^Basic +([\w+/-]{1,1024}={0,2})$/i;

/** RFC 6749 §2.3.1: both parts are form-encoded within. */
function basicIn(ctx: Koa.Context): { id: string; secret: string } | undefined {
  const encoded = basic.exec(ctx.get('Authorization'))?.[1];
  if (encoded === undefined) return undefined;
  const plainText = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = plainText.indexOf(':');
  if (colon < 1) return undefined;
  try {
    const [id, secret] = [plainText.slice(0, colon), plainText.slice(colon + 1)].map((part) =>
      decodeURIComponent(part.replaceAll('+', ' ')),
    );
    return id === undefined || secret === undefined ? undefined : { id, secret };
  } catch {
    return undefined;
  }
}

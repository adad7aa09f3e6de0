import type Koa from 'koa';
import { Problem } from '../../problem.ts';
import type { Consent } from '../consent-codec.ts';
import { plainWords } from './consent-plain-api.ts';
import type { AskingServer, AuthenticateServer, Recorder } from '../consent-ports.ts';
import type { ConsentStore } from '../consent-store.ts';
import { regimes } from '../regimes/regimes.ts';

interface Dependencies {
  consents: Pick<ConsentStore, 'find'>;
  authenticate: AuthenticateServer;
  audit: Recorder;
}

/** Answers a resource server; Problems invalid_token, consent_not_found, method_not_allowed. */
export type AnswerStatus = (ctx: Koa.Context, id: string) => Promise<void>;

/**
 * Tells a resource server, which authenticates as at introspection, what a consent allows at this moment: its state, accounts
 * and payment. The answer may be kept for a second, and is confirmed by its ETag in a few bytes.
 */
export function createStatusAnswer(deps: Dependencies): AnswerStatus {
  const { consents, authenticate, audit } = deps;
  return async function answerStatus(ctx, id) {
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD');
      throw new Problem('method_not_allowed', { detail: ctx.method });
    }
    const credentials = basicIn(ctx);
    const server = credentials && (await authenticate(credentials.id, credentials.secret));
    if (server === undefined) throw new Problem('invalid_token', { detail: 'no resource server' });
    const consent = await consents.find(id);
    if (consent === undefined || !isFor(server, consent)) {
      throw new Problem('consent_not_found', { detail: `asked by ${server.identifier}` });
    }
    const { state, version } = consent;
    ctx.set('Cache-Control', 'private, max-age=1');
    const etag = `"${String(version)}-${state}"`;
    ctx.set('ETag', etag);
    // Not Koa's own comparison: that one takes `Cache-Control: no-cache`, which fetch adds, for "send it all".
    if (ctx.get('If-None-Match') === etag) ctx.status = 304;
    else ctx.body = statusBody(consent);
    audit.record({
      ...{ type: 'consent.checked', outcome: 'success' },
      actor: { type: 'client', id: credentials?.id ?? '' },
      clientId: consent.clientId,
      detail: { consent: id, state, resourceServer: server.identifier },
    });
  };
}

/** A resource server learns of consents to what it has itself. */
function isFor({ scopes }: AskingServer, { regime, type }: Consent): boolean {
  return scopes.includes(regimes[regime].scopes[type]);
}

function statusBody(consent: Consent) {
  return {
    id: consent.id,
    status: consent.state,
    type: consent.type,
    client_id: consent.clientId,
    customer: consent.customerId,
    ...plainWords(consent),
    accounts: consent.accounts.map(({ id }) => ({ id })),
  };
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

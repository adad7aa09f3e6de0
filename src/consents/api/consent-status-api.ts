import type { Consent } from '../consent-codec.ts';
import type { Recorder } from '../consent-ports.ts';
import { allowMethods, askedConsent } from './asking-server-api.ts';
import type { AnswerServer, AskingParts } from './asking-server-api.ts';
import { plainWords } from './consent-plain-api.ts';

interface Dependencies extends AskingParts {
  /** Told of every use of a consent: a resource server asks when it is shown a token. */
  used: (consentId: string) => void;
  audit: Recorder;
}

/**
 * Tells a resource server, which authenticates as at introspection, what a consent allows at this moment: its state, accounts
 * and payment. The answer may be kept for a second, and is confirmed by its ETag in a few bytes.
 */
export function createStatusAnswer(deps: Dependencies): AnswerServer {
  return async function answerStatus(ctx, id) {
    allowMethods(ctx, 'GET', 'HEAD');
    const { consent, server } = await askedConsent(ctx, id, deps);
    deps.used(id);
    const { state, version } = consent;
    ctx.set('Cache-Control', 'private, max-age=1');
    const etag = `"${String(version)}-${state}"`;
    ctx.set('ETag', etag);
    // Not Koa's own comparison: that one takes `Cache-Control: no-cache`, which fetch adds, for "send it all".
    if (ctx.get('If-None-Match') === etag) ctx.status = 304;
    else ctx.body = statusBody(consent);
    deps.audit.record({
      ...{ type: 'consent.checked', outcome: 'success' },
      actor: { type: 'client', id: server.clientId },
      clientId: consent.clientId,
      detail: { consent: id, state, resourceServer: server.identifier },
    });
  };
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

import { z } from 'zod';
import { bounds } from '../../bounds.ts';
import { Problem } from '../../problem.ts';
import { parseJsonObject } from '../../security/strict-json.ts';
import type { Recorder } from '../consent-ports.ts';
import type { ConsentStore } from '../consent-store.ts';
import { allowMethods, askedConsent } from './asking-server-api.ts';
import type { AnswerServer, AskedConsent, AskingParts } from './asking-server-api.ts';
import { faultsIn, readBody } from './consent-requests-api.ts';

interface Dependencies extends AskingParts {
  consents: Pick<ConsentStore, 'find' | 'move' | 'history'>;
  audit: Recorder;
}

/** What a resource server says of the payment that it makes. */
export const consumptionRequest = z.strictObject({
  /** The resource server's own id of the payment; the same one may be sent again. */
  payment_id: z.string().regex(/^[\x21-\x7e]{1,64}$/),
});

export const consumptionResponse = consumptionRequest.extend({
  id: z.string(),
  status: z.literal('consumed'),
});

/**
 * Uses a payment consent up, for one payment: the first caller wins, on whichever process, and is told so again whenever it
 * asks for the same payment; everybody else gets Problem('consent_state'). With the consent every token under it ends.
 */
export function createConsumptionAnswer(deps: Dependencies): AnswerServer {
  return async function answerConsumption(ctx, id) {
    allowMethods(ctx, 'POST');
    const asked = await askedConsent(ctx, id, deps);
    const parsed = consumptionRequest.safeParse(
      parseJsonObject(await readBody(ctx), bounds.consentRequests),
    );
    if (!parsed.success) return { faults: faultsIn(parsed.error.issues) };
    const { type } = asked.consent;
    if (type !== 'payment') {
      const message = `the consent is for ${type}; only one for a payment can be used up`;
      return { faults: [{ kind: 'invalid', path: 'consent_id', message }] };
    }
    const { payment_id: payment } = parsed.data;
    await consume(asked, payment, deps);
    ctx.body = { id, status: 'consumed', payment_id: payment };
    return undefined;
  };
}

async function consume(asked: AskedConsent, payment: string, deps: Dependencies): Promise<void> {
  const { consent, server } = asked;
  const by = { type: 'resource-server', id: server.identifier } as const;
  try {
    await deps.consents.move(consent.id, 'consume', { by, reason: payment });
  } catch (error) {
    const isDecided = error instanceof Problem && error.code === 'consent_state';
    if (isDecided && (await isConsumedBy(asked, payment, deps))) return;
    throw error;
  }
  deps.audit.record({
    ...{ type: 'consent.consumed', outcome: 'success' },
    actor: { type: 'client', id: server.clientId },
    clientId: consent.clientId,
    ...(consent.customerId === undefined ? {} : { customerId: consent.customerId }),
    detail: { consent: consent.id, payment, resourceServer: server.identifier },
  });
}

async function isConsumedBy(
  { consent, server }: AskedConsent,
  payment: string,
  { consents }: Dependencies,
): Promise<boolean> {
  const consumed = (await consents.history(consent.id)).find(({ move }) => move === 'consume');
  return consumed?.by.id === server.identifier && consumed.reason === payment;
}

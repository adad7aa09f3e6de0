import type { Bank, Mandate, Order, Payment } from './bank/bank.ts';

/** Uses the payment's consent up: whether this payment may be made. Rejects when nobody can tell. */
export type UseConsentUp = (consentId: string, paymentId: string) => Promise<boolean>;

/** How the resource server reaches the authorization server. */
export interface ConsumptionOptions {
  issuer: string;
  client: { id: string; secret: string };
  fetch: typeof globalThis.fetch;
}

/** Asks the authorization server, which gives a consent to one payment and tells it so again. */
export function createConsumption(options: ConsumptionOptions): UseConsentUp {
  const { issuer, client, fetch } = options;
  const credentials = [client.id, client.secret].map(encodeURIComponent).join(':');
  return async function useConsentUp(consentId, paymentId) {
    const url = `${issuer}/consents/v1/${encodeURIComponent(consentId)}/consumption`;
    const { status } = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ payment_id: paymentId }),
      redirect: 'error',
      signal: AbortSignal.timeout(5000),
    });
    if (status === 200) return true;
    if (status === 409 || status === 404) return false;
    throw new Error(`the consent could not be used up: ${String(status)}`);
  };
}

/** Makes payments once. */
export interface Payments {
  make(mandate: Mandate, order: Order): Promise<Payment>;
  /** Ends what a crash, or a silent authorization server, has left in the middle. */
  resume(): Promise<void>;
}

/**
 * Written down first, then the consent is used up, then the money moves: at each point a crash leaves something that
 * {@link Payments.resume} brings to its end, and never two payments.
 */
export function createPayments(bank: Bank, useConsentUp: UseConsentUp): Payments {
  async function settle(mandate: Mandate, payment: Payment): Promise<Payment> {
    if (payment.status !== 'received') return payment;
    const isOurs = await useConsentUp(payment.consentId, payment.paymentId);
    return bank.settle(mandate, payment, isOurs ? 'accepted' : 'rejected');
  }
  return {
    make: async (mandate, order) => settle(mandate, await bank.receive(mandate, order)),
    async resume() {
      for (const { payment, mandate } of await bank.unsettled()) await settle(mandate, payment);
    },
  };
}

import { basicAuthorization } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import type { Settings } from './options.ts';
import { Refusal, Unavailable } from './refusal.ts';
import { createShortMemory } from './short-memory.ts';

/** An authorised consent, in the words of the issuer's `GET /consents/v1/{id}/status`. */
export interface ConsentState {
  id: string;
  /** Always `authorised`: others are refused. */
  status: 'authorised';
  clientId: string;
  /** The customer who allowed it. */
  customer: string | undefined;
  permissions: readonly string[];
  /** The accounts that the customer chose. */
  accounts: readonly { id: string }[];
  /** Everything that the answer says: `payment`, `expires_at`, … */
  terms: Readonly<Record<string, unknown>>;
}

/** Finds the consent that a token names. */
export type FindConsent = (id: string) => Promise<ConsentState>;

const rememberedMs = 1000;
const maxRemembered = 10_000;

/**
 * Asks the issuer what a consent allows, at most once a second for each. Rejects with a {@link Refusal} when it is not authorised,
 * and with {@link Unavailable}.
 */
export function createConsentFinder(
  issuer: Issuer,
  { issuer: origin, client, now }: Pick<Settings, 'issuer' | 'client' | 'now'>,
): FindConsent {
  const memory = createShortMemory<Readonly<Record<string, unknown>> | undefined>({
    ...{ ms: rememberedMs, max: maxRemembered, now },
  });

  async function ask(id: string) {
    if (client === undefined) throw new Unavailable('there is no client to ask with');
    const url = `${origin.replace(/\/$/, '')}/consents/v1/${encodeURIComponent(id)}/status`;
    const { status, body } = await issuer.ask(url, {
      headers: { authorization: basicAuthorization(client), accept: 'application/json' },
    });
    if (status === 404) return undefined;
    if (status !== 200 || body === undefined) {
      throw new Unavailable(`the consent's status: ${String(status)}`);
    }
    return body;
  }

  return async function findConsent(id) {
    const body = await memory.recall(id, () => ask(id));
    if (body?.['id'] !== id || body['status'] !== 'authorised') {
      throw new Refusal('invalid_token', 'the consent has ended');
    }
    return {
      id,
      status: 'authorised',
      clientId: textIn(body, 'client_id') ?? '',
      customer: textIn(body, 'customer'),
      permissions: listIn(body, 'permissions').filter((one) => typeof one === 'string'),
      accounts: listIn(body, 'accounts').flatMap(accountOf),
      terms: body,
    };
  };
}

function textIn(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name];
  return typeof value === 'string' ? value : undefined;
}

function listIn(body: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = body[name];
  return Array.isArray(value) ? value : [];
}

function accountOf(account: unknown): { id: string }[] {
  const { id } = Object(account ?? {}) as { id?: unknown };
  return typeof id === 'string' ? [{ id }] : [];
}

import { createHash } from 'node:crypto';
import { checkTimes } from './access-token.ts';
import { basicAuthorization } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import type { Settings } from './options.ts';
import { Refusal, Unavailable } from './refusal.ts';
import { createShortMemory } from './short-memory.ts';

/** An active answer: what it says of the token. */
export type Introspect = (token: string) => Promise<Readonly<Record<string, unknown>>>;

/** Nobody should learn of a revocation later. */
const rememberedMs = 1000;
const maxRemembered = 10_000;

type IntrospectionSettings = Pick<
  Settings,
  'issuer' | 'audience' | 'client' | 'clockLeadSeconds' | 'now'
>;

/**
 * Asks the issuer about a token (RFC 7662), at most once a second for each; remembers it by digest. Rejects with a
 * {@link Refusal} when it is not active or not for us, and with {@link Unavailable}.
 */
export function createIntrospection(issuer: Issuer, settings: IntrospectionSettings): Introspect {
  const { client, now } = settings;
  const memory = createShortMemory<Readonly<Record<string, unknown>>>({
    ...{ ms: rememberedMs, max: maxRemembered, now },
  });

  async function ask(token: string): Promise<Readonly<Record<string, unknown>>> {
    const { introspection_endpoint: endpoint } = await issuer.metadata();
    if (endpoint === undefined || client === undefined) {
      throw new Unavailable('there is nobody to introspect at');
    }
    const { status, body } = await issuer.ask(endpoint, {
      method: 'POST',
      headers: {
        authorization: basicAuthorization(client),
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
    });
    if (status !== 200 || typeof body?.['active'] !== 'boolean') {
      throw new Unavailable(`introspection: ${String(status)}`);
    }
    return body;
  }

  return async function introspect(token) {
    const digest = createHash('sha256').update(token).digest('base64url');
    const answer = await memory.recall(digest, () => ask(token));
    if (answer['active'] !== true) throw refused();
    checkParties(answer, settings);
    const seconds = Math.floor(now().getTime() / 1000);
    checkTimes(answer, { now: seconds, lead: settings.clockLeadSeconds });
    return answer;
  };
}

/** What the answer says of issuer and audience has to fit; the issuer answers nothing about tokens for others. */
function checkParties(
  { iss, aud }: Readonly<Record<string, unknown>>,
  { issuer, audience }: IntrospectionSettings,
): void {
  if (iss !== undefined && iss !== issuer) throw refused();
  if (aud !== undefined && ![aud].flat().includes(audience)) throw refused();
}

function refused(): Refusal {
  return new Refusal('invalid_token', 'the token is not active');
}

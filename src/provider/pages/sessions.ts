import type Koa from 'koa';
import Provider from 'oidc-provider';
import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import { epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { passwordAcr } from './authentication-context.ts';
import { sendBackchannelLogouts } from './backchannel-logouts.ts';
import type { Customers, Recorder } from '../ports.ts';
import { sessionCookie } from '../protocol.ts';
import { sessionReference } from '../storage/session-store.ts';
import type {
  Device,
  EndedSessions,
  KnownSession,
  SessionStore,
} from '../storage/session-store.ts';

/** Who is signed in at a browser. */
export interface SignedInSession {
  /** The same as long as the session lasts, while the cookie's value changes. */
  uid: string;
  customerId: string;
  authenticatedAt: Date;
  authentication: { acr: string | undefined; amr: readonly string[] };
  /** At most a minute earlier than it really was. */
  lastSeenAt: Date;
}

/** The sessions that the engine keeps, for the pages on which customers see and end them. */
export interface Sessions {
  /** Of this browser; undefined where nobody is signed in. */
  current(ctx: Koa.Context): Promise<SignedInSession | undefined>;
  /** Notes that the session is used. */
  seen(session: Pick<SignedInSession, 'uid'>): void;
  /** Begins a session, or goes on with that of the same customer: under a new cookie value (ASVS 7.2.4). */
  signIn(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
  listOf(customerId: string): Promise<KnownSession[]>;
  referenceOf(session: Pick<SignedInSession, 'uid'>): string;
  /** Ends one session and tells its clients; whether there was one. */
  end(customerId: string, reference: string): Promise<boolean>;
  /** Ends all of the customer's sessions but this one; how many. */
  endOthers(session: Pick<SignedInSession, 'uid' | 'customerId'>): Promise<number>;
}

interface Dependencies {
  provider: () => Provider;
  store: SessionStore;
  customers: Customers;
  audit: Recorder;
  clock: Clock;
  /** How long a session lives, counted from the login. */
  sessionSeconds: number;
}

type Session = InstanceType<Provider['Session']>;

/** Sessions of the current provider instance. */
export function createSessions(deps: Dependencies): Sessions {
  const { provider, store } = deps;

  async function tellClients({ count, sessions }: EndedSessions): Promise<number> {
    await sendBackchannelLogouts(sessions, deps);
    return count;
  }

  /** The session of this browser, unless it is another customer's: that one is over. */
  async function sessionFor(ctx: Koa.Context, customerId: string): Promise<Session> {
    const found = await provider().Session.get(ctx);
    if (found.accountId === undefined || found.accountId === customerId) return found;
    await tellClients(await store.end(found.accountId, sessionReference(found.uid)));
    return new (provider().Session)();
  }

  return {
    current: (ctx) => currentSession(ctx, deps),
    seen: ({ uid }) => {
      store.touch(uid);
    },

    async signIn(ctx, { customerId, amr }) {
      const session = await sessionFor(ctx, customerId);
      session.resetIdentifier();
      const loginTs = epochSeconds(deps.clock);
      session.loginAccount({ accountId: customerId, acr: passwordAcr, amr, loginTs });
      await session.save(deps.sessionSeconds);
      const { uid, exp } = session;
      await store.seen({ uid, customerId, device: deviceOf(ctx), expiresAt: new Date(exp * 1000) });
      const expires = new Date(exp * 1000);
      ctx.cookies.set(provider().cookieName('session'), session.jti, { ...sessionCookie, expires });
    },

    listOf: (customerId) => store.listOf(customerId),
    referenceOf: ({ uid }) => sessionReference(uid),
    end: async (customerId, reference) =>
      (await tellClients(await store.end(customerId, reference))) > 0,
    endOthers: async ({ customerId, uid }) => tellClients(await store.endOthers(customerId, uid)),
  };
}

async function currentSession(
  ctx: Koa.Context,
  { provider, store, customers }: Dependencies,
): Promise<SignedInSession | undefined> {
  const { uid, accountId, loginTs, acr, amr = [] } = await provider().Session.get(ctx);
  if (accountId === undefined || loginTs === undefined) return undefined;
  const [lastSeenAt, customer] = await Promise.all([
    store.lastSeenOf(uid),
    customers.claimsOf(accountId), // none for one who is suspended
  ]);
  if (customer === undefined) return undefined;
  const authenticatedAt = new Date(loginTs * 1000);
  return {
    ...{ uid, customerId: accountId, authenticatedAt },
    authentication: { acr, amr },
    lastSeenAt: lastSeenAt ?? authenticatedAt,
  };
}

/** Notes each session that the engine writes, which it does whenever one is used. */
export function withSeenSessions(
  kind: string,
  adapter: Adapter,
  sessions: Pick<SessionStore, 'seen'>,
): Adapter {
  if (kind !== 'Session') return adapter;
  return {
    ...adapter,
    async upsert(id, payload, expiresIn) {
      await adapter.upsert(id, payload, expiresIn);
      const { uid, accountId: customerId, exp } = payload;
      // Pages of ours note what they write by themselves.
      const ctx: KoaContextWithOIDC | undefined = Provider.ctx;
      if (ctx === undefined || uid === undefined || customerId === undefined) return;
      const expiresAt = new Date((exp ?? 0) * 1000);
      await sessions.seen({ uid, customerId, device: deviceOf(ctx), expiresAt });
    },
  };
}

/** Longer ones say nothing more, and cost. */
const longestUserAgent = 400;

function deviceOf(ctx: Koa.Context): Device {
  const userAgent = ctx.get('User-Agent').slice(0, longestUserAgent);
  return { userAgent, network: roughNetwork(ctx.ip) };
}

/** Enough to recognise a place by, too little to find a household: 24 bits of IPv4, 48 of IPv6. */
function roughNetwork(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) return plain.replace(/\.\d+$/, '.*');
  const groups = plain.split('::')[0]?.split(':').slice(0, 3) ?? [];
  return [...groups.filter(Boolean), '*'].join(':');
}

import type Router from '@koa/router';
import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import type { AccountDoor, SignedIn } from '../http/account-door.ts';
import type { SessionRowData } from '../http/account-page-data.ts';
import type { Pages } from '../http/pages.ts';
import { readUserAgent } from './user-agent.ts';

/** A session as it is known. */
interface KnownSession {
  /** Names it in addresses, and opens nothing. */
  reference: string;
  /** Undefined where neither was seen. */
  device: { userAgent: string; network: string } | undefined;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

/** The sessions of customers; the provider's fit. */
export interface CustomerSessions {
  listOf(customerId: string): Promise<KnownSession[]>;
  referenceOf(session: SignedIn): string;
  end(customerId: string, reference: string): Promise<boolean>;
  endOthers(session: SignedIn): Promise<number>;
}

interface Dependencies {
  door: AccountDoor;
  sessions: CustomerSessions;
  displayName: (customerId: string) => Promise<string | undefined>;
  pages: Pages;
  audit: { record(entry: AuditEntry): void };
}

const sessionsPath = '/account/sessions';
const othersPath = `${sessionsPath}/others/end`;

/** The pages on which customers see where they are signed in, and end that (ASVS 7.5.2). */
export function addSessionRoutes(router: Router, deps: Dependencies): void {
  router.get(sessionsPath, (ctx) => showList(ctx, deps));
  router.get(othersPath, (ctx) => askForOthers(ctx, deps));
  router.post(othersPath, (ctx) => endOthers(ctx, deps));
  router.get(`${sessionsPath}/:reference/end`, (ctx) => askForOne(ctx, deps));
  router.post(`${sessionsPath}/:reference/end`, (ctx) => endOne(ctx, deps));
}

async function showList(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  const { door, sessions, displayName, pages } = deps;
  const signedIn = await door.enter(ctx);
  if (signedIn === undefined) return;
  const { customerId } = signedIn;
  const locale = pages.localeOf(ctx);
  const own = sessions.referenceOf(signedIn);
  const known = await sessions.listOf(customerId);
  const rows = known.map((session): SessionRowData => {
    const isThis = session.reference === own;
    return {
      ...wordsOf(session),
      isThis,
      endUrl: isThis ? undefined : endPath(session.reference),
      firstSeen: locale.date(session.firstSeenAt),
      lastSeen: locale.date(session.lastSeenAt),
    };
  });
  pages.show(ctx, {
    page: 'account-sessions',
    data: {
      accountName: await displayName(customerId),
      sessions: [...rows.filter(({ isThis }) => isThis), ...rows.filter(({ isThis }) => !isThis)],
      endOthersUrl: rows.some(({ isThis }) => !isThis) ? othersPath : undefined,
      done: doneIn(ctx),
    },
    languagePath: sessionsPath,
  });
}

function doneIn({ query }: Koa.Context): 'session-ended' | 'sessions-ended' | undefined {
  const { done } = query;
  return done === 'session-ended' || done === 'sessions-ended' ? done : undefined;
}

function endPath(reference: string): string {
  return `${sessionsPath}/${reference}/end`;
}

function wordsOf({ device }: Pick<KnownSession, 'device'>) {
  return { ...readUserAgent(device?.userAgent ?? ''), network: device?.network };
}

async function askForOne(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  const { door, sessions } = deps;
  const signedIn = await door.enter(ctx, { recent: true });
  if (signedIn === undefined) return;
  const { reference } = ctx['params'] as { reference: string };
  const known = await sessions.listOf(signedIn.customerId);
  const session = known.find((one) => one.reference === reference);
  // Ended meanwhile, somebody else's, or none: there is nothing to sign out.
  if (session === undefined || reference === sessions.referenceOf(signedIn)) {
    goTo(ctx, sessionsPath);
    return;
  }
  await ask(ctx, signedIn, { deps, kind: 'end-session', session: wordsOf(session) });
}

async function askForOthers(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  const signedIn = await deps.door.enter(ctx, { recent: true });
  if (signedIn !== undefined) await ask(ctx, signedIn, { deps, kind: 'end-others' });
}

interface Question {
  deps: Dependencies;
  kind: 'end-session' | 'end-others';
  session?: Pick<SessionRowData, 'browser' | 'system'>;
}

async function ask(ctx: Koa.Context, signedIn: SignedIn, question: Question): Promise<void> {
  const { deps, kind, session } = question;
  const { door, displayName, pages } = deps;
  pages.show(ctx, {
    page: 'account-confirm',
    data: {
      accountName: await displayName(signedIn.customerId),
      ...{ kind, session, action: ctx.path, backUrl: sessionsPath },
      csrfToken: door.token(signedIn),
    },
    languagePath: ctx.path,
  });
}

async function endOne(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  const { door, sessions } = deps;
  const received = await door.receive(ctx, { recent: true, back: sessionsPath });
  if (received === undefined) return;
  const { signedIn } = received;
  const { reference } = ctx['params'] as { reference: string };
  // This one ends by signing out, which takes its cookie away as well.
  const isThis = reference === sessions.referenceOf(signedIn);
  const hasEnded = !isThis && (await sessions.end(signedIn.customerId, reference));
  if (hasEnded) record(signedIn, deps, { session: reference });
  goTo(ctx, isThis ? sessionsPath : `${sessionsPath}?done=session-ended`);
}

async function endOthers(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  const received = await deps.door.receive(ctx, { recent: true, back: sessionsPath });
  if (received === undefined) return;
  const count = await deps.sessions.endOthers(received.signedIn);
  if (count > 0) record(received.signedIn, deps, { sessions: count });
  goTo(ctx, `${sessionsPath}?done=sessions-ended`);
}

function record(
  { customerId }: SignedIn,
  { audit }: Dependencies,
  detail: Record<string, unknown>,
): void {
  const actor = { type: 'customer', id: customerId } as const;
  audit.record({ type: 'session.ended', outcome: 'success', actor, customerId, detail });
}

function goTo(ctx: Koa.Context, address: string): void {
  ctx.status = 303;
  ctx.redirect(address);
}

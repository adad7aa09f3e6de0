import type { Context } from 'koa';
import { bounds } from '../bounds.ts';
import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { rejectCrossSite } from './csrf.ts';
import type { Csrf } from './csrf.ts';
import { readForm } from './form.ts';

/** Below it are the pages for customers who are signed in. */
const accountPath = '/account';
/** Where they sign in, and confirm that it is them. */
export const accountLoginPath = `${accountPath}/login`;

/** Who is signed in at this browser; the provider's session fits. */
export interface SignedIn {
  /** The same as long as the session lasts. */
  uid: string;
  customerId: string;
  /** When they logged in last. */
  authenticatedAt: Date;
  authentication: { acr: string | undefined; amr: readonly string[] };
  lastSeenAt: Date;
}

/** How long a login is good for. */
export interface AccountLimits {
  /** Without use of the session, to look at pages and to stop sharing. */
  idleSeconds: number;
  /** Since the login itself, to change what is shared and to end sessions (ASVS 7.5.2, 7.5.3). */
  recentSeconds: number;
}

interface Dependencies {
  issuer: string;
  csrf: Csrf;
  clock: Clock;
  limits: AccountLimits;
  sessions: {
    current(ctx: Context): Promise<SignedIn | undefined>;
    seen(session: SignedIn): void;
  };
}

/** What a page asks of who wants to see it. */
export interface Demand {
  /** Whether the login must be recent. */
  recent?: boolean;
  /** Where to go on after a login, when it is not the address that was asked for. */
  back?: string;
}

/** Lets customers who are signed in to their pages, and sends all others to the login. */
export interface AccountDoor {
  /** Undefined when the browser is on its way to the login, from which it comes back. */
  enter(ctx: Context, demand?: Demand): Promise<SignedIn | undefined>;
  /**
   * The same for the form of such a page: sent from it, in this browser. Problems: csrf_mismatch, and of
   * {@link readForm}.
   */
  receive(
    ctx: Context,
    demand: Demand & { back: string; maxFields?: number },
  ): Promise<{ signedIn: SignedIn; form: Record<string, string> } | undefined>;
  /** The token of a form. */
  token(signedIn: SignedIn): string;
  /** Whether the login is recent enough for everything. */
  isRecent(signedIn: SignedIn): boolean;
}

/** The door to the account pages. */
export function createAccountDoor(deps: Dependencies): AccountDoor {
  const { issuer, csrf, clock, limits, sessions } = deps;

  function isWithin(since: Date, seconds: number): boolean {
    return clock.now().getTime() - since.getTime() <= seconds * 1000;
  }

  const isRecent = ({ authenticatedAt }: SignedIn) =>
    isWithin(authenticatedAt, limits.recentSeconds);

  async function enter(ctx: Context, demand: Demand = {}): Promise<SignedIn | undefined> {
    ctx.state['route'] = 'account';
    const signedIn = await sessions.current(ctx);
    const isActive = signedIn !== undefined && isWithin(lastUse(signedIn), limits.idleSeconds);
    if (isActive && (demand.recent !== true || isRecent(signedIn))) {
      sessions.seen(signedIn);
      return signedIn;
    }
    ctx.status = 303;
    ctx.redirect(loginAddress(ctx, demand.back));
    return undefined;
  }

  return {
    enter,
    isRecent,
    token: ({ uid }) => csrf.token(bindingOf(uid)),
    async receive(ctx, { maxFields = bounds.forms.maxFields, ...demand }) {
      rejectCrossSite(ctx, issuer);
      const signedIn = await enter(ctx, demand);
      if (signedIn === undefined) return undefined;
      const form = await readForm(ctx, { maxBytes: bounds.forms.maxBytes, maxFields });
      csrf.verify(bindingOf(signedIn.uid), form['csrf']);
      return { signedIn, form };
    },
  };
}

function loginAddress({ path, query }: Context, back: string | undefined): string {
  const { page, ui_locales: language } = query;
  const here = typeof page === 'string' ? `${path}?page=${page}` : path;
  const search = new URLSearchParams({ next: back ?? here });
  if (typeof language === 'string') search.set('ui_locales', language);
  return `${accountLoginPath}?${search.toString()}`;
}

function bindingOf(uid: string): string {
  return `account:${uid}`;
}

function lastUse({ authenticatedAt, lastSeenAt }: SignedIn): Date {
  return lastSeenAt > authenticatedAt ? lastSeenAt : authenticatedAt;
}

const ownPath = /^\/account(?:\/[\w-]+)*(?:\?page=\d{1,4})?$/;

/** Where to go on after a login: one of these pages, whatever the address says. */
export function nextPage(value: unknown): string {
  const isOwn = typeof value === 'string' && ownPath.test(value) && value !== accountLoginPath;
  return isOwn ? value : `${accountPath}/consents`;
}

/** The page of a list that an address names: `?page=2`. Problem('not_found') for anything that is no page. */
export function pageNumber(ctx: Pick<Context, 'query'>): number {
  const { page = '1' } = ctx.query;
  if (typeof page === 'string' && /^[1-9]\d{0,3}$/.test(page)) return Number(page);
  throw new Problem('not_found', { detail: 'no such page of a list' });
}

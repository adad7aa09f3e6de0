import type Router from '@koa/router';
import type Koa from 'koa';
import { accountLoginPath, nextPage } from '../http/account-door.ts';
import type { AccountDoor, SignedIn } from '../http/account-door.ts';
import { Problem } from '../problem.ts';
import { randomSecret } from '../security/secrets.ts';
import { createLoginPages } from './login-pages.ts';
import type { LoginPlace, PendingLogin } from './login-pages.ts';

/** The sessions that a login begins; the provider's fit. */
export interface AccountSessions {
  current(ctx: Koa.Context): Promise<SignedIn | undefined>;
  signIn(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
}

interface Dependencies extends Omit<
  Parameters<typeof createLoginPages>[0],
  'interactions' | 'place' | 'onCancelled'
> {
  sessions: AccountSessions;
  door: Pick<AccountDoor, 'isRecent'>;
  usernameOf: (customerId: string) => Promise<string | undefined>;
}

interface Pending extends PendingLogin {
  prompt: string;
  /** The page of ours that they came for. */
  next: string;
}

/** Binds the form to this browser, so that nobody is made to sign in as somebody else. */
const formCookie = '__Host-login';
const cookieOptions = {
  ...{ signed: true, httpOnly: true, secure: true, path: '/' },
  sameSite: 'lax',
} as const;

const addressWith = (next: string) =>
  `${accountLoginPath}?${new URLSearchParams({ next }).toString()}`;

const place: LoginPlace = {
  route: accountLoginPath,
  action: (pending) => addressWith((pending as Pending).next),
  page: (pending) => addressWith((pending as Pending).next),
};

/** The same login page for customers whom no app sent, and for those who confirm that it is them. */
export function addAccountLoginRoutes(router: Router, deps: Dependencies): void {
  const { sessions } = deps;
  const loginPages = createLoginPages({
    ...{ ...deps, place },
    onCancelled: () => undefined,
    interactions: {
      async pending(ctx) {
        const binding = ctx.cookies.get(formCookie, { signed: true });
        if (binding === undefined) {
          throw new Problem('csrf_mismatch', { detail: 'the browser has no cookie of the form' });
        }
        return pendingOf(ctx, binding, deps);
      },
      async login(ctx, login) {
        await sessions.signIn(ctx, login);
        goOn(ctx);
      },
      deny: () => {
        throw new Problem('invalid_request', { detail: 'there is nothing to go back to' });
      },
    },
  });

  router.get(accountLoginPath, async (ctx) => {
    const binding = ctx.cookies.get(formCookie, { signed: true }) ?? randomSecret(16);
    const pending = await pendingOf(ctx, binding, deps);
    if (pending.resumeUrl !== undefined) {
      goOn(ctx);
      return;
    }
    ctx.cookies.set(formCookie, binding, cookieOptions);
    loginPages.show(ctx, pending);
  });
  loginPages.addRoutes(router);
}

async function pendingOf(
  ctx: Koa.Context,
  binding: string,
  { sessions, door, usernameOf }: Dependencies,
): Promise<Pending> {
  const next = nextPage(ctx.query['next']);
  const signedIn = await sessions.current(ctx);
  return {
    uid: `account-login:${binding}`,
    ...{ prompt: 'login', clientId: '', clientName: undefined, redirectUri: undefined, next },
    isConfirmation: signedIn !== undefined,
    loginHint: signedIn && (await usernameOf(signedIn.customerId)),
    uiLocales: undefined,
    // A second click, or a way back in the browser: nothing is to be asked any more.
    resumeUrl: signedIn !== undefined && door.isRecent(signedIn) ? next : undefined,
  };
}

function goOn(ctx: Koa.Context): void {
  ctx.status = 303;
  ctx.redirect(nextPage(ctx.query['next']));
}

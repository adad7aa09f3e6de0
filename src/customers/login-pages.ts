import type Router from '@koa/router';
import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import type { Csrf } from '../http/csrf.ts';
import type { LoginData } from '../http/page-data.ts';
import type { Pages } from '../http/pages.ts';
import { readStepForm } from '../http/step-form.ts';
import type { LoginTry } from './login-guard.ts';
import type { LoginResult } from './login.ts';

/** What brought a customer to the login page: an authorization request, or one of our own pages. */
export interface PendingLogin {
  uid: string;
  clientId: string;
  /** Undefined for our own pages. */
  clientName: string | undefined;
  /** Whether the customer is signed in, and has to confirm it. */
  isConfirmation?: boolean;
  /** Undefined for our own pages. */
  redirectUri: string | undefined;
  loginHint: string | undefined;
  uiLocales: string | undefined;
  resumeUrl: string | undefined;
}

/** The authorization request that brought the customer; the provider's interactions fit. */
export interface LoginInteractions {
  pending(ctx: Koa.Context): Promise<PendingLogin & { prompt: string }>;
  login(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
  deny(ctx: Koa.Context, description: string): Promise<void>;
}

/** Where the page is. */
export interface LoginPlace {
  /** Route of the form. */
  route: string;
  /** Path of the form. */
  action(pending: PendingLogin): string;
  /** Path of the page, in which the language can be chosen. */
  page(pending: PendingLogin): string;
}

/** The login page of an authorization request. */
const interactionPlace: LoginPlace = {
  route: '/interaction/:uid/login',
  action: ({ uid }) => `/interaction/${uid}/login`,
  page: ({ uid }) => `/interaction/${uid}`,
};

interface Dependencies {
  issuer: string;
  /** That of an authorization request where it is not given. */
  place?: LoginPlace;
  interactions: LoginInteractions;
  login(attempt: LoginTry): Promise<LoginResult>;
  /** Told of a login that the customer gave up. */
  onCancelled(): void;
  pages: Pages;
  csrf: Csrf;
  audit: { record(entry: AuditEntry): void };
}

/** Of the browsers in which somebody has logged in; no session, and worth nothing without the password. */
const deviceCookie = '__Host-device';
const deviceCookieTerms = 'Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax';

type LoginError = Pick<LoginData, 'error' | 'retryAfterSeconds' | 'fields' | 'step'>;

/** The login page. */
export interface LoginPages {
  show(ctx: Koa.Context, pending: PendingLogin): void;
  addRoutes(router: Router): void;
}

/** Login pages that work without script; the password never comes back to the browser. */
export function createLoginPages(dependencies: Dependencies): LoginPages {
  const { interactions, issuer, csrf, place = interactionPlace } = dependencies;
  async function submit(ctx: Koa.Context): Promise<void> {
    ctx.state['route'] = 'login';
    const pending = (context: Koa.Context) => interactions.pending(context);
    const step = await readStepForm(ctx, { issuer, csrf, prompt: 'login', pending });
    if (step === undefined) return;
    if (step.form['action'] === 'cancel') {
      await cancel(ctx, step.pending, dependencies);
    } else {
      await tryLogin(ctx, step.pending, { form: step.form, dependencies });
    }
  }

  return {
    show(ctx, pending) {
      show(ctx, pending, { dependencies, username: pending.loginHint, problem: {} });
    },
    addRoutes(router) {
      router.post(place.route, submit);
    },
  };
}

async function cancel(ctx: Koa.Context, pending: PendingLogin, dependencies: Dependencies) {
  const { interactions, audit } = dependencies;
  await interactions.deny(ctx, 'the customer cancelled the login');
  dependencies.onCancelled();
  audit.record({
    type: 'authorization.denied',
    outcome: 'refused',
    actor: { type: 'customer' },
    clientId: pending.clientId,
    detail: { step: 'login' },
  });
}

async function tryLogin(
  ctx: Koa.Context,
  pending: PendingLogin,
  { form, dependencies }: { form: Record<string, string>; dependencies: Dependencies },
): Promise<void> {
  const { username = '', password = '' } = form;
  const again = (problem: LoginError, status: number) => {
    show(ctx, pending, { dependencies, username, problem, status });
  };
  if (username.trim() === '' || password === '') {
    const missing = (value: string) => (value.trim() === '' ? ('missing' as const) : undefined);
    const fields = { username: missing(username), password: missing(password) };
    again({ error: 'missing_fields', fields }, 422);
    return;
  }
  const result = await dependencies.login({
    ...{ username, password, address: ctx.ip, binding: pending.uid },
    ...{ device: ctx.cookies.get(deviceCookie), step: form['step'] },
  });
  switch (result.outcome) {
    case 'success':
      ctx.append('Set-Cookie', `${deviceCookie}=${result.device}; ${deviceCookieTerms}`);
      await dependencies.interactions.login(ctx, { customerId: result.customerId, amr: ['pwd'] });
      return;
    case 'throttled':
      ctx.set('Retry-After', String(result.retryAfterSeconds));
      again({ error: 'login_throttled', retryAfterSeconds: result.retryAfterSeconds }, 429);
      return;
    case 'challenged': {
      const { waitSeconds, token } = result.step;
      ctx.set('Retry-After', String(waitSeconds));
      again({ error: 'login_challenged', retryAfterSeconds: waitSeconds, step: token }, 429);
      return;
    }
    case 'failed':
      again({ error: 'login_failed' }, 422); // 401 would owe a WWW-Authenticate (RFC 9110 §15.5.2)
  }
}

interface Showing {
  dependencies: Dependencies;
  username: string | undefined;
  problem: LoginError;
  status?: number;
}

function show(ctx: Koa.Context, pending: PendingLogin, showing: Showing): void {
  const { dependencies, username, problem, status = 200 } = showing;
  const { place = interactionPlace } = dependencies;
  const { clientName, isConfirmation, redirectUri } = pending;
  const data: LoginData = {
    action: place.action(pending),
    csrfToken: dependencies.csrf.token(pending.uid),
    ...{ clientName, isConfirmation },
    ...(username === undefined ? {} : { username }),
    ...problem,
  };
  const { uiLocales } = pending;
  dependencies.pages.show(ctx, {
    page: 'login',
    data,
    status,
    formActions: redirectUri === undefined ? [] : [redirectUri],
    uiLocales,
    languagePath: place.page(pending),
  });
}

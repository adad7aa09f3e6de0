import type Router from '@koa/router';
import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import type { Csrf } from '../http/csrf.ts';
import type { LoginData } from '../http/page-data.ts';
import type { Pages } from '../http/pages.ts';
import { readStepForm } from '../http/step-form.ts';
import type { LoginResult } from './login.ts';

/** The part of a pending authorization request that the login page shows. */
interface Pending {
  uid: string;
  clientId: string;
  clientName: string;
  redirectUri: string;
  loginHint: string | undefined;
  uiLocales: string | undefined;
  resumeUrl: string | undefined;
}

/** The authorization request that brought the customer; the provider's interactions fit. */
export interface LoginInteractions {
  pending(ctx: Koa.Context): Promise<Pending & { prompt: string }>;
  login(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
  deny(ctx: Koa.Context, description: string): Promise<void>;
}

interface Dependencies {
  issuer: string;
  interactions: LoginInteractions;
  login(attempt: { username: string; password: string; address: string }): Promise<LoginResult>;
  /** Told of a login that the customer gave up. */
  onCancelled(): void;
  pages: Pages;
  csrf: Csrf;
  audit: { record(entry: AuditEntry): void };
}

type LoginError = Pick<LoginData, 'error' | 'retryAfterSeconds' | 'fields'>;

/** The login page of an authorization request. */
export interface LoginPages {
  show(ctx: Koa.Context, pending: Pending): void;
  addRoutes(router: Router): void;
}

/** Login pages that work without script; the password never comes back to the browser. */
export function createLoginPages(dependencies: Dependencies): LoginPages {
  const { interactions, issuer, csrf } = dependencies;
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
      router.post('/interaction/:uid/login', submit);
    },
  };
}

async function cancel(ctx: Koa.Context, pending: Pending, dependencies: Dependencies) {
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
  pending: Pending,
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
  const result = await dependencies.login({ username, password, address: ctx.ip });
  switch (result.outcome) {
    case 'success':
      await dependencies.interactions.login(ctx, { customerId: result.customerId, amr: ['pwd'] });
      return;
    case 'throttled':
      ctx.set('Retry-After', String(result.retryAfterSeconds));
      again({ error: 'login_throttled', retryAfterSeconds: result.retryAfterSeconds }, 429);
      return;
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

function show(ctx: Koa.Context, pending: Pending, showing: Showing): void {
  const { dependencies, username, problem, status = 200 } = showing;
  const data: LoginData = {
    action: `/interaction/${pending.uid}/login`,
    csrfToken: dependencies.csrf.token(pending.uid),
    clientName: pending.clientName,
    ...(username === undefined ? {} : { username }),
    ...problem,
  };
  const { uiLocales } = pending;
  dependencies.pages.show(ctx, {
    page: 'login',
    data,
    status,
    formActions: [pending.redirectUri],
    uiLocales,
    languagePath: `/interaction/${pending.uid}`,
  });
}

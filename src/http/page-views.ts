import { consentDecisionView } from './consent-decision-view.ts';
import { situationOf } from './error-texts.ts';
import type { ErrorSituation } from './error-texts.ts';
import type { TextKey } from './locale.ts';
import type {
  CarryOnData,
  ConsentData,
  ErrorData,
  LoginData,
  PageData,
  PageName,
} from './page-data.ts';
import type { PageView, ViewScope } from './page-view.ts';
import { formTarget, isOwnPath, linkable, outwardTarget } from './safe-url.ts';

interface FieldProblem {
  field: 'username' | 'password';
  message: string;
}

function loginProblems(data: LoginData, { locale, text }: ViewScope): FieldProblem[] {
  const { error, fields = {}, retryAfterSeconds = 60 } = data;
  if (error === undefined) return [];
  if (error === 'login_failed') return [{ field: 'username', message: text('login.failed') }];
  if (error === 'csrf_mismatch') return [{ field: 'username', message: text('login.stale') }];
  if (error === 'login_throttled') {
    const wait = locale.duration(retryAfterSeconds);
    return [{ field: 'username', message: text('login.throttled', { wait }) }];
  }
  const missing: FieldProblem[] = [];
  if (fields.username === 'missing') {
    missing.push({ field: 'username', message: text('login.username.missing') });
  }
  if (fields.password === 'missing') {
    missing.push({ field: 'password', message: text('login.password.missing') });
  }
  return missing;
}

function loginView(data: LoginData, scope: ViewScope): PageView {
  const problems = loginProblems(data, scope);
  const missingIn = (field: FieldProblem['field']): string | undefined =>
    data.error === 'missing_fields'
      ? problems.find((problem) => problem.field === field)?.message
      : undefined;
  return {
    title: scope.text('login.title'),
    action: formTarget(data.action),
    csrfToken: data.csrfToken,
    client: data.clientName,
    username: data.username ?? '',
    problems,
    usernameError: missingIn('username'),
    passwordError: missingIn('password'),
  };
}

function claimSentence(scope: string, { locale, text }: ViewScope): string {
  const key = `claims.${scope}`;
  return locale.has(key) ? locale.text(key) : text('claims.other', { name: scope });
}

function consentView(data: ConsentData, scope: ViewScope): PageView {
  const { locale, text } = scope;
  const client = data.clientName;
  const website = linkable(data.clientUri);
  const isWeb = website !== undefined && /^https?:/i.test(website);
  const about = data.claims.map((claim) => claimSentence(claim, scope));
  const groups = data.resources.map(({ name, permissions }) => ({ name, sentences: permissions }));
  if (about.length > 0) groups.push({ name: text('consent.about'), sentences: about });
  return {
    title: text('consent.title', { client }),
    action: formTarget(data.action),
    csrfToken: data.csrfToken,
    client,
    website: isWeb ? { url: website, host: new URL(website).host } : undefined,
    logo: data.logoUri !== undefined && isOwnPath(data.logoUri) ? data.logoUri : undefined,
    account: data.accountName,
    groups,
    until: locale.date(data.until),
    untilIso: data.until.toISOString(),
    redirectHost: data.redirectHost,
  };
}

/** Where an earlier answer may have changed something, the page says only that this visit has not. */
const changedKeys: Partial<Record<ErrorSituation, TextKey>> = {
  ended: 'error.ended.changed',
  used: 'error.used.changed',
};

function errorView(data: ErrorData, { text }: ViewScope): PageView {
  const situation = situationOf(data.code);
  return {
    title: text(`error.${situation}.title`),
    happened: text(`error.${situation}.happened`),
    changed: text(changedKeys[situation] ?? 'error.changed'),
    now: text(`error.${situation}.now`),
    reference: data.reference,
    backUrl: linkable(data.backUrl),
  };
}

function carryOnView({ action, fields }: CarryOnData, { text }: ViewScope): PageView {
  return { title: text('carryOn.title'), action: outwardTarget(action), fields };
}

/** One builder per page: from the page's data to what its template prints. */
export const pageViews: {
  [P in PageName]: (data: PageData[P], scope: ViewScope) => PageView;
} = {
  login: loginView,
  consent: consentView,
  'consent-decision': consentDecisionView,
  logout: ({ form, clientName }, { text }) => ({
    title: text('logout.title'),
    form,
    client: clientName,
  }),
  'logged-out': ({ clientName, stillSignedIn = false }, { text }) => ({
    title: text(stillSignedIn ? 'loggedOut.stayed.title' : 'loggedOut.title'),
    client: clientName,
    stillSignedIn,
  }),
  'carry-on': carryOnView,
  error: errorView,
  'development-callback': ({ code, error, command }, { text }) => ({
    title: text(code === undefined ? 'development.failed.title' : 'development.title'),
    code,
    error,
    command,
  }),
};

import { accountViews, overviewPath } from './account-views.ts';
import { claimSentence } from './claim-sentence.ts';
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
  const told = (message: string): FieldProblem[] => [{ field: 'username', message }];
  const wait = () => ({ wait: locale.duration(retryAfterSeconds) });
  switch (error) {
    case undefined:
      return [];
    case 'login_failed':
      return told(text('login.failed'));
    case 'csrf_mismatch':
      return told(text('login.stale'));
    case 'login_throttled':
      return told(text('login.throttled', wait()));
    case 'login_challenged':
      return told(text('login.challenged', wait()));
    case 'missing_fields':
    default:
      return (['username', 'password'] as const)
        .filter((field) => fields[field] === 'missing')
        .map((field) => ({ field, message: text(`login.${field}.missing`) }));
  }
}

function loginView(data: LoginData, scope: ViewScope): PageView {
  const problems = loginProblems(data, scope);
  const missingIn = (field: FieldProblem['field']): string | undefined =>
    data.error === 'missing_fields'
      ? problems.find((problem) => problem.field === field)?.message
      : undefined;
  return {
    title: scope.text(data.isConfirmation === true ? 'login.confirm.title' : 'login.title'),
    lead: loginLead(data, scope),
    submit: scope.text(data.isConfirmation === true ? 'login.confirm.submit' : 'login.submit'),
    action: formTarget(data.action),
    csrfToken: data.csrfToken,
    step: data.step,
    client: data.clientName,
    username: data.username ?? '',
    problems,
    usernameError: missingIn('username'),
    passwordError: missingIn('password'),
  };
}

function loginLead({ clientName: client, isConfirmation }: LoginData, { text }: ViewScope): string {
  if (client !== undefined) return text('login.lead', { client });
  return text(isConfirmation === true ? 'login.confirm.lead' : 'login.own.lead');
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

/**
 * Where an earlier answer may have changed something, the page says only that this visit has not; where this visit may have,
 * that nobody knows yet.
 */
const changedKeys: Partial<Record<ErrorSituation, TextKey>> = {
  ended: 'error.ended.changed',
  used: 'error.used.changed',
  unknown: 'error.unknown.changed',
};

function errorView(data: ErrorData, { text }: ViewScope): PageView {
  const situation = situationOf(data.code);
  const isUnknown = situation === 'unknown';
  const isOwnPage = data.isOwnPage === true;
  return {
    title: text(`error.${situation}.title`),
    happened: text(`error.${situation}.happened`),
    changed: text(changedKeys[situation] ?? 'error.changed'),
    now: text(isOwnPage && !isUnknown ? 'error.account.now' : `error.${situation}.now`),
    overview: isOwnPage || isUnknown ? overviewPath : undefined,
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
  ...accountViews,
};

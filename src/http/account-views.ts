import type {
  AccountChangeData,
  AccountConfirmData,
  AccountConsentData,
  AccountConsentsData,
  AccountFrame,
  AccountSessionsData,
  AppRowData,
  SessionRowData,
} from './account-page-data.ts';
import { changeSentences, confirmationSentences } from './account-sentences.ts';
import { claimSentence } from './claim-sentence.ts';
import type { PageView, ViewScope } from './page-view.ts';
import { formTarget, isOwnPath, linkable } from './safe-url.ts';

/** Where the pages of a signed-in customer begin. */
export const overviewPath = '/account/consents';

/** A link of ours leads to our pages, whatever it was made of. */
function ownLink(value: string): string {
  return isOwnPath(value) ? value : overviewPath;
}

const places = {
  consents: { url: overviewPath, text: 'account.nav.consents' },
  sessions: { url: '/account/sessions', text: 'account.nav.sessions' },
} as const;

/** The way between the pages, and out. */
function frame(
  { done, accountName }: AccountFrame,
  current: keyof typeof places,
  { text, locale }: ViewScope,
) {
  const links = Object.entries(places).map(([name, { url, text: key }]) => ({
    ...{ url, text: text(key), isCurrent: name === current },
  }));
  const out = { url: '/logout', text: text('account.nav.logout'), isCurrent: false };
  return {
    ...{ nav: [...links, out], accountName },
    done:
      done !== undefined && locale.has(`account.done.${done}`)
        ? text(`account.done.${done}`)
        : undefined,
  };
}

function consentsView(data: AccountConsentsData, scope: ViewScope): PageView {
  const { text } = scope;
  const { page, hasMore } = data;
  const consents = data.consents.map((one) => ({ ...one, url: ownLink(one.url) }));
  const title = text('consents.title');
  const active = consents.filter(({ isActive }) => isActive);
  const past = consents.filter(({ isActive }) => !isActive);
  const apps = data.apps.map((app) => appRow(app, scope));
  const isFirst = page === 1;
  return {
    ...frame(data, 'consents', scope),
    title: isFirst ? title : text('consents.pageTitle', { title, page }),
    heading: title,
    isEmpty: consents.length === 0 && apps.length === 0,
    active,
    apps,
    past,
    // On the first page it is worth saying that nobody has access.
    saysNoneActive: isFirst && consents.length > 0 && active.length === 0 && apps.length === 0,
    previousUrl: isFirst ? undefined : `${overviewPath}?page=${String(page - 1)}`,
    nextUrl: hasMore ? `${overviewPath}?page=${String(page + 1)}` : undefined,
  };
}

/** Who may know no more than that it is the customer has that said. */
function appRow({ claims, permissions, ...app }: AppRowData, scope: ViewScope) {
  const named = claims.filter((claim) => claim !== 'openid');
  const shown = permissions.length + named.length === 0 ? claims : named;
  return {
    ...app,
    what: [...permissions, ...shown.map((claim) => claimSentence(claim, scope))],
    endUrl: ownLink(app.endUrl),
    endLabel: scope.text('apps.endLabel', { client: app.client }),
  };
}

function consentView(data: AccountConsentData, scope: ViewScope): PageView {
  const { text } = scope;
  const { client, payment, accounts } = data;
  const website = linkable(data.clientUri);
  const isWeb = website !== undefined && /^https?:/i.test(website);
  return {
    ...data,
    ...frame(data, 'consents', scope),
    title: text('consentPage.title', { client }),
    overview: overviewPath,
    changeUrl: data.changeUrl && ownLink(data.changeUrl),
    withdrawUrl: data.withdrawUrl && ownLink(data.withdrawUrl),
    website: isWeb ? { url: website, host: new URL(website).host } : undefined,
    changeText: text(
      data.canChangeAccounts && accounts.length > 0
        ? 'consentPage.change'
        : 'consentPage.changeEnd',
    ),
    withdrawText: text(
      payment === undefined ? 'consentPage.withdraw' : 'consentPage.withdrawPayment',
    ),
  };
}

function changeView(data: AccountChangeData, scope: ViewScope): PageView {
  const { text } = scope;
  const { until } = data;
  const latest = until.latestInWords;
  const messages = {
    no_account_chosen: text('decision.several.missing'),
    end_not_a_date: text('change.until.missing', { example: until.earliest }),
    end_not_possible:
      latest === undefined
        ? text('change.until.past', { earliest: until.earliestInWords })
        : text('change.until.wrong', { earliest: until.earliestInWords, latest }),
    changed_meanwhile: text('change.meanwhile'),
  };
  const messageOf = (...wanted: (keyof typeof messages)[]) => {
    const found = wanted.find((one) => data.problems.includes(one));
    return found && messages[found];
  };
  return {
    ...data,
    ...frame(data, 'consents', scope),
    ...changeSentences(data, text),
    ...{ action: formTarget(data.action), backUrl: ownLink(data.backUrl) },
    accountsError: messageOf('no_account_chosen'),
    untilError: messageOf('end_not_a_date', 'end_not_possible'),
    problems: data.problems
      .filter((problem) => Object.hasOwn(messages, problem))
      .map((problem) => ({
        field: problem === 'no_account_chosen' ? 'account-0' : 'until',
        message: messages[problem],
      })),
  };
}

function confirmView(data: AccountConfirmData, scope: ViewScope): PageView {
  const { text } = scope;
  const isSession = data.kind === 'end-session' || data.kind === 'end-others';
  const device = data.session === undefined ? '' : deviceWords(data.session, scope);
  return {
    ...data,
    ...frame(data, isSession ? 'sessions' : 'consents', scope),
    ...confirmationSentences({ kind: data.kind, client: data.client, device }, text),
    ...{ action: formTarget(data.action), backUrl: ownLink(data.backUrl) },
  };
}

function deviceWords(
  { browser, system }: Pick<SessionRowData, 'browser' | 'system'>,
  scope: ViewScope,
): string {
  if (browser !== undefined && system !== undefined) {
    return scope.text('sessions.both', { browser, system });
  }
  return browser ?? system ?? scope.text('sessions.unknown');
}

function sessionsView(data: AccountSessionsData, scope: ViewScope): PageView {
  const { text } = scope;
  return {
    ...frame(data, 'sessions', scope),
    title: text('sessions.title'),
    endOthersUrl: data.endOthersUrl && ownLink(data.endOthersUrl),
    sessions: data.sessions.map((session) => {
      const device = deviceWords(session, scope);
      const endLabel = text('sessions.endLabel', { device });
      return { ...session, device, endLabel, endUrl: session.endUrl && ownLink(session.endUrl) };
    }),
  };
}

/** The pages of a signed-in customer. */
export const accountViews = {
  'account-consents': consentsView,
  'account-consent': consentView,
  'account-change': changeView,
  'account-confirm': confirmView,
  'account-sessions': sessionsView,
};

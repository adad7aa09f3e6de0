import { accountStates } from './account-page-fixtures.ts';
import type {
  ConsentDecisionData,
  LoginData,
  PageData,
  PageName,
} from '../../src/http/page-data.ts';
import type { Renderer, RenderOptions } from '../../src/http/render.ts';

/** One state of one page, ready to be rendered. */
export interface PageFixture {
  name: string;
  page: PageName;
  data: PageData[PageName];
  render(renderer: Renderer, options: RenderOptions): string;
}

function fixture<P extends PageName>(name: string, page: P, data: PageData[P]): PageFixture {
  return { name, page, data, render: (renderer, options) => renderer.render(page, data, options) };
}

/** The data is only right when it comes from a fixture of the same page. */
export function withData(original: PageFixture, data: unknown): PageFixture {
  return fixture(original.name, original.page, data as PageData[PageName]);
}

const longWord = 'Vermögensverwaltungsgesellschaftsbeteiligungs';
export const longName = `${longWord}holding der Vereinigten Beispielbanken Mecklenburg-Vorpommern GmbH & Co. KG`;

const login: LoginData = {
  action: '/interaction/V1StGXR8Z5jdHi6BmyT/login',
  csrfToken: 'b3BlbiBzZXNhbWU',
  clientName: 'Example Money',
};

const consent = {
  action: '/interaction/V1StGXR8Z5jdHi6BmyT/consent',
  csrfToken: 'b3BlbiBzZXNhbWU',
  clientName: 'Example Money',
  clientUri: 'https://money.example/',
  logoUri: '/assets/mark.svg',
  accountName: 'Anna Berger',
  resources: [
    {
      name: 'Accounts',
      permissions: [
        'See the names and numbers of your accounts',
        'See your balances',
        'See your transactions of the last 12 months',
      ],
    },
  ],
  claims: ['openid', 'profile', 'email', 'offline_access', 'loyalty'],
  until: new Date(Date.UTC(2027, 1, 20, 15, 4)),
  redirectHost: 'money.example',
};

const decision: ConsentDecisionData = {
  action: '/interaction/V1StGXR8Z5jdHi6BmyT/consent',
  csrfToken: 'b3BlbiBzZXNhbWU',
  clientName: 'Example Money',
  clientUri: 'https://money.example/',
  redirectUri: 'https://money.example/callback',
  accountName: 'Anna Berger',
  isRenewal: false,
  kind: 'accounts',
  clusters: [
    { title: 'Your account details', sentences: ['Your account name and number', 'Your balances'] },
    { title: 'Your account transactions', sentences: ['Money that you spent'] },
  ],
  payment: undefined,
  range: 'Transactions from 1 January 2026 at 00:00 UTC on.',
  until: 'Until 20 February 2027 at 15:04 UTC at the latest. You can stop it at any time.',
  choice: 'several',
  accounts: ['Current account', 'Savings'].map((name, i) => ({
    ...{ field: `account:${String(i)}`, id: String(i), name, isChosen: false },
    number: `•••• 123${String(i)}`,
  })),
};

const paying: ConsentDecisionData = {
  ...decision,
  ...{ kind: 'payment', choice: 'one', clusters: [], range: undefined },
  payment: {
    amount: '£165.88',
    payee: 'ACME Inc',
    payeeNumber: '08-08-00 21325698',
    reference: 'Internal ops code 5120101',
  },
  until: 'Once, for exactly this payment.',
};

const logoutForm =
  '<form id="op.logoutForm" method="post" action="/session/end/confirm">' +
  '<input type="hidden" name="xsrf" value="0123456789abcdef"/></form>';

const reference = '0193a4f2-7c1e-7d52-9f0a-5f7d1c2b3a49';

const errorCodes = [
  'invalid_client',
  'interaction_not_found',
  'not_found',
  'access_denied',
  'something_new',
  'csrf_mismatch',
  'temporarily_unavailable',
  'request_given_up',
  'interaction_used',
  'login_throttled',
];

/** Every page in every state that a customer can see. */
export const pageFixtures: PageFixture[] = [
  fixture('decision', 'consent-decision', decision),
  fixture('decision-problem', 'consent-decision', { ...decision, problem: 'no_account_chosen' }),
  fixture('decision-renewal', 'consent-decision', { ...decision, isRenewal: true }),
  fixture('decision-payment', 'consent-decision', paying),
  fixture('decision-no-accounts', 'consent-decision', { ...paying, accounts: [] }),
  fixture('decision-funds', 'consent-decision', {
    ...decision,
    ...{ kind: 'funds-confirmation', choice: 'one', clusters: [], range: undefined },
  }),
  fixture('decision-long', 'consent-decision', {
    ...paying,
    clientName: longName,
    accounts: paying.accounts.map((account) => ({ ...account, name: longName })),
    payment: {
      amount: '1.234.567.890.123,45678 €',
      payee: longName,
      payeeNumber: 'DE02120300000000202051DE02120300000000202051',
      reference: longName,
    },
  }),
  fixture('login', 'login', login),
  fixture('login-failed', 'login', { ...login, username: 'anna', error: 'login_failed' }),
  fixture('login-throttled', 'login', {
    ...login,
    username: 'anna',
    error: 'login_throttled',
    retryAfterSeconds: 90,
  }),
  fixture('login-challenged', 'login', {
    ...login,
    ...{ username: 'anna', error: 'login_challenged', retryAfterSeconds: 5, step: 'a.1.b' },
  }),
  fixture('login-stale', 'login', { ...login, username: 'anna', error: 'csrf_mismatch' }),
  fixture('login-missing', 'login', {
    ...login,
    error: 'missing_fields',
    fields: { username: 'missing', password: 'missing' },
  }),
  fixture('login-long', 'login', {
    ...login,
    clientName: longName,
    username: `${longWord}@${longWord}.example`,
    error: 'missing_fields',
    fields: { password: 'missing' },
  }),
  fixture('consent', 'consent', consent),
  fixture('consent-small', 'consent', {
    action: consent.action,
    csrfToken: consent.csrfToken,
    clientName: 'Example Money',
    resources: [],
    claims: [],
    until: consent.until,
    redirectHost: 'com.example.money',
  }),
  fixture('consent-long', 'consent', {
    ...consent,
    clientName: longName,
    clientUri: `https://${'a-very-long-label.'.repeat(6)}example/`,
    accountName: `${longWord}@${longWord}.example`,
    resources: [
      ...consent.resources,
      { name: longName, permissions: [`${longWord} ${longWord}`, longName, longWord.repeat(3)] },
    ],
    redirectHost: `${'a-very-long-label.'.repeat(6)}example`,
  }),
  fixture('logout', 'logout', { form: logoutForm }),
  fixture('logout-client', 'logout', { form: logoutForm, clientName: 'Example Money' }),
  fixture('logged-out', 'logged-out', { clientName: 'Example Money' }),
  fixture('still-signed-in', 'logged-out', { stillSignedIn: true }),
  fixture('carry-on', 'carry-on', {
    action: 'https://money.example/callback',
    fields: [{ name: 'code', value: 'Vq3Zc1mY5x0R7nK2eJ8wL4tB6uS9dHpG' }],
  }),
  ...errorCodes.map((code) => fixture(`error-${code}`, 'error', { code, reference })),
  fixture('error-back', 'error', {
    code: 'access_denied',
    reference,
    backUrl: 'https://money.example/callback?error=access_denied',
  }),
  fixture('development', 'development-callback', {
    code: 'Vq3Zc1mY5x0R7nK2eJ8wL4tB6uS9dHpGfAoXiCyN',
    command:
      "curl --cacert .countersign/ca.pem --user 'demo:secret' --data 'grant_type=authorization_code' " +
      "--data 'code=Vq3Zc1mY5x0R7nK2eJ8wL4tB6uS9dHpGfAoXiCyN' https://localhost:3443/token",
  }),
  ...accountStates(longName).map(([name, page, data]) => fixture(name, page, data as never)),
  fixture('login-own', 'login', { ...login, clientName: undefined }),
  fixture('login-confirm', 'login', { ...login, clientName: undefined, isConfirmation: true }),
  fixture('error-account', 'error', { code: 'csrf_mismatch', reference, isOwnPage: true }),
  fixture('development-failed', 'development-callback', { error: 'access_denied' }),
];

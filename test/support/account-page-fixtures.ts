import type {
  AccountChangeData,
  AccountConsentData,
  AccountConsentsData,
  AccountSessionsData,
  AppRowData,
  ConsentRowData,
} from '../../src/http/account-page-data.ts';
import type { PageData } from '../../src/http/page-data.ts';

type AccountPage = Extract<keyof PageData, `account-${string}`>;
/** One state of one page: its name, the page, and its data. */
type State = { [P in AccountPage]: [name: string, page: P, data: PageData[P]] }[AccountPage];

const accountName = 'Anna Berger';
const path = '/account/consents/V1StGXR8Z5jdHi6BmyTV1StGXR8Z5jdH';
const form = { accountName, backUrl: path, csrfToken: 'b3BlbiBzZXNhbWU' };

const row: ConsentRowData = {
  url: path,
  client: 'Example Money',
  isActive: true,
  state: 'Until 20 February 2027 at 15:04 UTC',
  what: ['Your account details', 'Your account transactions'],
  accounts: ['Current account •••• 1230', 'Savings •••• 1231'],
  since: '20 November 2026',
  lastUse: '22 November 2026 at 07:12 UTC',
};

const app: AppRowData = {
  client: 'Example Shop',
  claims: ['openid', 'profile', 'offline_access', 'loyalty'],
  permissions: ['See your statements'],
  since: '21 November 2026',
  until: '19 February 2027 at 15:04 UTC',
  endUrl: '/account/apps/V1StGXR8Z5jdHi6BmyTV1StGXR8Z5jdHi6BmyTV1StG/end',
};

const list: AccountConsentsData = {
  accountName,
  apps: [app, { ...app, client: 'Who I am', claims: ['openid'], permissions: [] }],
  consents: [
    row,
    { ...row, client: 'Budget Bee', state: 'Until you stop it', accounts: ['Savings •••• 1231'] },
    {
      ...row,
      client: 'Shop & Co',
      isActive: false,
      state: 'Ended 1 November 2026 at 10:00 UTC',
      what: ['£165.88 to ACME Inc'],
      lastUse: 'Not yet',
    },
  ],
  page: 1,
  hasMore: true,
};

const detail: AccountConsentData = {
  accountName,
  client: 'Example Money',
  clientUri: 'https://money.example/',
  isActive: true,
  state: 'Until 20 February 2027 at 15:04 UTC',
  clusters: [
    { title: 'Your account details', sentences: ['Your account name and number', 'Your balances'] },
    { title: 'Your account transactions', sentences: ['Money that you spent'] },
  ],
  payment: undefined,
  about: undefined,
  range: 'Transactions from 1 January 2026 at 00:00 UTC on.',
  accounts: [
    { name: 'Current account', number: '•••• 1230' },
    { name: 'Savings', number: '•••• 1231' },
  ],
  canChangeAccounts: true,
  lastUse: '22 November 2026 at 07:12 UTC',
  history: ['Example Money asked for it.', 'You allowed it.', 'You changed the end date.'].map(
    (what, i) => ({
      at: `${String(20 + i)} November 2026 at 15:04 UTC`,
      iso: `2026-11-${String(20 + i)}T15:04:00.000Z`,
      what,
    }),
  ),
  changeUrl: `${path}/change`,
  withdrawUrl: `${path}/withdraw`,
};

const change: AccountChangeData = {
  ...form,
  action: `${path}/change`,
  version: 3,
  client: 'Example Money',
  accounts: ['Current account', 'Savings'].map((name, i) => ({
    ...{ field: `account:${String(i)}`, name, number: `•••• 123${String(i)}` },
    isChosen: i === 0,
  })),
  until: {
    value: '2027-02-20',
    earliest: '2026-11-22',
    earliestInWords: '22 November 2026',
    latest: '2027-05-20',
    latestInWords: '20 May 2027',
  },
  problems: [],
};

const session = {
  isThis: false,
  browser: 'Firefox',
  system: 'Android',
  network: '203.0.113.*',
  firstSeen: '20 November 2026 at 15:02 UTC',
  lastSeen: '22 November 2026 at 07:12 UTC',
};
const endUrl = '/account/sessions/V1StGXR8Z5jdHi6BmyT/end';

const sessions: AccountSessionsData = {
  accountName,
  sessions: [
    { ...session, isThis: true, browser: 'Safari', system: 'iPhone', endUrl: undefined },
    { ...session, endUrl },
    { ...session, endUrl, browser: undefined, system: undefined, network: undefined },
  ],
  endOthersUrl: '/account/sessions/others/end',
};

/** Every page of a signed-in customer in every state; `long` is a name that does not end. */
export function accountStates(long: string): State[] {
  const longRow = { ...row, client: long, what: [long], accounts: [long], state: long };
  const longApp = { ...app, client: long, permissions: [long], claims: [long], until: long };
  const payment = {
    amount: '1.234.567.890.123,45678 €',
    ...{ payee: long, payeeNumber: 'DE02120300000000202051', reference: long },
  };
  return [
    ['account-list', 'account-consents', list],
    ['account-list-empty', 'account-consents', { ...list, consents: [], apps: [], hasMore: false }],
    [
      'account-list-past',
      'account-consents',
      { ...list, consents: list.consents.slice(2), apps: [], page: 2 },
    ],
    [
      'account-list-ended',
      'account-consents',
      { ...list, consents: list.consents.slice(2), apps: [] },
    ],
    [
      'account-list-apps',
      'account-consents',
      { ...list, consents: list.consents.slice(2), hasMore: false, done: 'app-ended' },
    ],
    [
      'account-list-long',
      'account-consents',
      { ...list, accountName: long, consents: [longRow], apps: [longApp] },
    ],
    ['account-detail', 'account-consent', detail],
    ['account-detail-changed', 'account-consent', { ...detail, done: 'changed' }],
    [
      'account-detail-payment',
      'account-consent',
      { ...detail, clusters: [], range: undefined, payment, changeUrl: undefined },
    ],
    [
      'account-detail-ended',
      'account-consent',
      {
        ...detail,
        ...{ isActive: false, done: 'withdrawn', changeUrl: undefined, withdrawUrl: undefined },
        state: 'Ended 22 November 2026 at 10:00 UTC',
      },
    ],
    [
      'account-detail-funds',
      'account-consent',
      {
        ...detail,
        ...{ client: long, clusters: [], range: undefined, canChangeAccounts: false },
        about: 'Whether you have enough money, as yes or no',
      },
    ],
    ['account-change', 'account-change', change],
    [
      'account-change-wrong',
      'account-change',
      { ...change, problems: ['no_account_chosen', 'end_not_possible'] },
    ],
    [
      'account-change-late',
      'account-change',
      { ...change, client: long, problems: ['changed_meanwhile'] },
    ],
    [
      'account-change-open',
      'account-change',
      {
        ...change,
        accounts: [],
        until: { ...change.until, value: '', latest: undefined, latestInWords: undefined },
        problems: ['end_not_a_date'],
      },
    ],
    [
      'account-withdraw',
      'account-confirm',
      { ...form, kind: 'withdraw', action: `${path}/withdraw`, client: 'Example Money' },
    ],
    [
      'account-withdraw-payment',
      'account-confirm',
      { ...form, kind: 'withdraw-payment', action: `${path}/withdraw`, client: long },
    ],
    [
      'account-end-app',
      'account-confirm',
      { ...form, kind: 'end-app', action: app.endUrl, client: 'Example Shop' },
    ],
    ['account-sessions', 'account-sessions', sessions],
    [
      'account-sessions-alone',
      'account-sessions',
      {
        ...sessions,
        sessions: sessions.sessions.slice(0, 1),
        ...{ endOthersUrl: undefined, done: 'sessions-ended' },
      },
    ],
    [
      'account-end-session',
      'account-confirm',
      {
        ...form,
        kind: 'end-session',
        action: endUrl,
        session: { browser: 'Opera', system: 'Mac' },
      },
    ],
    ['account-end-others', 'account-confirm', { ...form, kind: 'end-others', action: endUrl }],
  ];
}

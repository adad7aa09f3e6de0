/** What the pages of a signed-in customer have in common. */
export interface AccountFrame {
  /** Who is signed in. */
  accountName: string | undefined;
  /** What was just done. */
  done?: 'changed' | 'withdrawn' | 'app-ended' | 'session-ended' | 'sessions-ended' | undefined;
}

/** A consent in the list; words and times are in the customer's language already (also below). */
export interface ConsentRowData {
  /** Our own path of its page. */
  url: string;
  client: string;
  /** Authorised, and so giving access. */
  isActive: boolean;
  /** "Until …", or how it ended. */
  state: string;
  /** What is shared, in a few words each. */
  what: string[];
  accounts: string[];
  since: string;
  lastUse: string;
}

/** A client with access that no consent object stands for. */
export interface AppRowData {
  client: string;
  /** OpenID scopes; their sentences are the texts `claims.<scope>`. */
  claims: string[];
  /** Whole sentences. */
  permissions: string[];
  since: string;
  until: string;
  /** Our own path on which it can be ended. */
  endUrl: string;
}

export interface AccountConsentsData extends AccountFrame {
  consents: ConsentRowData[];
  /** On the first page. */
  apps: AppRowData[];
  page: number;
  hasMore: boolean;
}

export interface AccountConsentData extends AccountFrame {
  client: string;
  /** The client's website; linked only when it is http(s). */
  clientUri: string | undefined;
  isActive: boolean;
  state: string;
  clusters: { title: string; sentences: string[] }[];
  payment: { amount: string; payee: string; payeeNumber: string; reference: string } | undefined;
  /** Other than accounts and payments, as a sentence. */
  about: string | undefined;
  range: string | undefined;
  accounts: { name: string; number: string }[];
  canChangeAccounts: boolean;
  lastUse: string;
  history: { at: string; iso: string; what: string }[];
  /** Where it can be changed and ended; undefined where it can't. */
  changeUrl: string | undefined;
  withdrawUrl: string | undefined;
}

/** Posts `csrf`, `version`, `until` (a date) and a field for each account, as on the consent page. */
export interface AccountChangeData extends AccountFrame {
  action: string;
  csrfToken: string;
  version: number;
  client: string;
  backUrl: string;
  /** None where they can't be changed. */
  accounts: { field: string; name: string; number: string; isChosen: boolean }[];
  /** Dates as YYYY-MM-DD, and in words. */
  until: {
    value: string;
    earliest: string;
    earliestInWords: string;
    /** Undefined where the client asked for no end. */
    latest: string | undefined;
    latestInWords: string | undefined;
  };
  problems: ('no_account_chosen' | 'end_not_a_date' | 'end_not_possible' | 'changed_meanwhile')[];
}

/** Posts `csrf`. */
export interface AccountConfirmData extends AccountFrame {
  kind: 'withdraw' | 'withdraw-payment' | 'end-app' | 'end-session' | 'end-others';
  action: string;
  csrfToken: string;
  backUrl: string;
  /** Whose access ends. */
  client?: string | undefined;
  /** Which device is signed out. */
  session?: Pick<SessionRowData, 'browser' | 'system'> | undefined;
}

export interface SessionRowData {
  isThis: boolean;
  /** Where it can be ended; undefined for this one. */
  endUrl: string | undefined;
  browser: string | undefined;
  system: string | undefined;
  network: string | undefined;
  firstSeen: string;
  lastSeen: string;
}

export interface AccountSessionsData extends AccountFrame {
  sessions: SessionRowData[];
  /** Undefined where there are no others. */
  endOthersUrl: string | undefined;
}

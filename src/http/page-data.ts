import type {
  AccountChangeData,
  AccountConfirmData,
  AccountConsentData,
  AccountConsentsData,
  AccountSessionsData,
} from './account-page-data.ts';

/** Why the login page is shown again. */
export type LoginError =
  'login_failed' | 'login_throttled' | 'login_challenged' | 'csrf_mismatch' | 'missing_fields';

/**
 * Posts `username`, `password`, `csrf` and `action` = `login` | `cancel`.
 * `action` (here and below) is our own path; texts are plain, the page escapes them.
 */
export interface LoginData {
  action: string;
  csrfToken: string;
  /** The app that sent the customer; undefined for those who come to their own pages. */
  clientName?: string | undefined;
  /** Whether they are signed in, and have to confirm it. */
  isConfirmation?: boolean | undefined;
  /** What was typed before; the password never is shown again. */
  username?: string | undefined;
  error?: LoginError | undefined;
  /** With `login_throttled` and `login_challenged`: how long to wait. */
  retryAfterSeconds?: number | undefined;
  /** With `login_challenged`: what has to be sent back as `step` then. */
  step?: string | undefined;
  /** With `missing_fields`: which. */
  fields?: { username?: 'missing' | undefined; password?: 'missing' | undefined } | undefined;
}

/** What is asked for at one resource server. */
export interface ConsentResource {
  name: string;
  /** Whole sentences. */
  permissions: string[];
}

/** Posts `csrf` and `decision` = `allow` | `deny` | `switch` (sign in as somebody else). */
export interface ConsentData {
  action: string;
  csrfToken: string;
  clientName: string;
  /** The client's website; linked only when it is http(s). */
  clientUri?: string | undefined;
  /** Shown only when it is a path on our own origin, as the content security policy demands. */
  logoUri?: string | undefined;
  /** Who is signed in. */
  accountName?: string | undefined;
  resources: ConsentResource[];
  /** OpenID scopes; their sentences are the texts `claims.<scope>`. */
  claims: string[];
  /** When access ends at the latest. */
  until: Date;
  /** Where the browser goes after the choice: a host, or an application's scheme. */
  redirectHost: string;
}

/** An account that may be chosen. */
export interface OfferedAccountData {
  /** The field's name where several may be chosen. */
  field: string;
  id: string;
  name: string;
  /** Masked. */
  number: string;
  isChosen: boolean;
}

/**
 * Posts `csrf`, `decision` = `allow` | `deny` | `switch`, and the accounts: a field each where `choice` is several, else `account`.
 * Sentences are in the customer's language already: what was shown is kept as proof.
 */
export interface ConsentDecisionData {
  action: string;
  csrfToken: string;
  clientName: string;
  clientUri?: string | undefined;
  redirectUri: string;
  accountName?: string | undefined;
  /** The customer has authorised it before. */
  isRenewal: boolean;
  kind: 'accounts' | 'payment' | 'funds-confirmation';
  clusters: { title: string; sentences: string[] }[];
  payment: { amount: string; payee: string; payeeNumber: string; reference: string } | undefined;
  range: string | undefined;
  until: string;
  choice: 'one' | 'several';
  /** None: nothing can be allowed. */
  accounts: OfferedAccountData[];
  problem?: 'no_account_chosen' | undefined;
}

/** The buttons complete the library's own form: `logout` = `yes`, or nothing to stay signed in. */
export interface LogoutData {
  /** Trusted HTML from oidc-provider, inserted as it is: `<form id="op.logoutForm" …>`. */
  form: string;
  clientName?: string | undefined;
}

/** Sent by script at once, and by the button without. */
export interface CarryOnData {
  /** Absolute: ours, or the client's redirect URI. */
  action: string;
  fields: { name: string; value: string }[];
}

export interface LoggedOutData {
  clientName?: string | undefined;
  /** The customer chose to stay signed in. */
  stillSignedIn?: boolean | undefined;
}

export interface ErrorData {
  /** A ProblemCode or an OAuth error code; unknown ones get the general text. */
  code: string;
  /** The request id, to be quoted to the bank. */
  reference: string;
  /** The way back to the application, given only when it is safe. */
  backUrl?: string | undefined;
  /** Whether it is one of the pages of a customer who is signed in: no app brought them. */
  isOwnPage?: boolean | undefined;
}

/** Development only: shows what the authorization endpoint sent back. */
export interface DevelopmentCallbackData {
  code?: string | undefined;
  error?: string | undefined;
  /** The next command to paste. */
  command?: string | undefined;
}

/** Every hosted page and what it needs. */
export interface PageData {
  login: LoginData;
  consent: ConsentData;
  'consent-decision': ConsentDecisionData;
  logout: LogoutData;
  'logged-out': LoggedOutData;
  'carry-on': CarryOnData;
  error: ErrorData;
  'development-callback': DevelopmentCallbackData;
  'account-consents': AccountConsentsData;
  'account-consent': AccountConsentData;
  'account-change': AccountChangeData;
  'account-confirm': AccountConfirmData;
  'account-sessions': AccountSessionsData;
}

export type PageName = keyof PageData;

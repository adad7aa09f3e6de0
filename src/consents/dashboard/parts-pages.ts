import type Koa from 'koa';
import type { Clock } from '../../clock.ts';
import type { AccountDoor, SignedIn } from '../../http/account-door.ts';
import type { SentenceOf } from '../../http/account-sentences.ts';
import type { Pages } from '../../http/pages.ts';
import { Problem } from '../../problem.ts';
import type { AccountsOf } from '../accounts.ts';
import type { Consent } from '../consent-codec.ts';
import type { AllowedApps, Recorder } from '../consent-ports.ts';
import type { ConsentStore, MoveFacts } from '../consent-store.ts';
import type { ConsentUses } from '../consent-use-store.ts';
import type { Words } from '../consent-words.ts';
import { consentIdFrom, consentReference, isConsentId } from '../consent.ts';
import type { ConsentsOfCustomer } from '../consents-of-customer-store.ts';
import { clientWords } from './dashboard-words.ts';
import type { KnownClient } from './dashboard-words.ts';

/** What the dashboard stands on. */
export interface DashboardDependencies {
  door: AccountDoor;
  consents: Pick<ConsentStore, 'find' | 'history' | 'move'>;
  ofCustomer: ConsentsOfCustomer;
  uses: Pick<ConsentUses, 'lastOf'>;
  /** Who has access without a consent. */
  apps: AllowedApps;
  accountsOf: AccountsOf;
  /** Undefined for a client that is suspended or gone. */
  clientOf: (clientId: string) => Promise<KnownClient | undefined>;
  displayName: (customerId: string) => Promise<string | undefined>;
  /** The bank's name. */
  bank: string;
  pages: Pages;
  audit: Recorder;
  clock: Clock;
}

/** The path of the list; each consent has its page below it. */
export const consentsPath = '/account/consents';

/** The page of one consent. */
export function pathOf({ id }: Pick<Consent, 'id'>): string {
  return `${consentsPath}/${consentReference(id)}`;
}

/** The consent that an address names. Problem('not_found') for one that is not this customer's, whosever it is. */
export async function ownConsent(
  ctx: Koa.Context,
  { customerId }: Pick<SignedIn, 'customerId'>,
  { consents }: Pick<DashboardDependencies, 'consents'>,
): Promise<Consent> {
  const { reference } = ctx['params'] as { reference: string };
  const id = consentIdFrom(reference);
  const consent = isConsentId(id) ? await consents.find(id) : undefined;
  if (consent?.customerId === customerId) return consent;
  throw new Problem('not_found', { detail: `${id} is no consent of this customer` });
}

/** The page's language, and the bank's name. */
export function wordsFor(
  ctx: Koa.Context,
  { pages, bank }: Pick<DashboardDependencies, 'pages' | 'bank'>,
): Words & { tag: string; day(date: Date): string } {
  return { ...pages.localeOf(ctx), bank };
}

/** The texts of pages whose sentences are kept with what was decided on them. */
export function sentencesOf(words: Words): SentenceOf {
  return (key, values) => words.text(key, { bank: words.bank, ...values });
}

/** The name of the client in a sentence. */
export async function clientNameOf(
  { clientId }: Pick<Consent, 'clientId'>,
  words: Words,
  { clientOf }: Pick<DashboardDependencies, 'clientOf'>,
): Promise<string> {
  return clientWords(await clientOf(clientId), words);
}

/** What the history keeps of a customer's own doing. */
export function factsOf(
  { customerId }: SignedIn,
  { shown, reason }: Required<Pick<MoveFacts, 'shown' | 'reason'>>,
): MoveFacts {
  return { by: { type: 'customer', id: customerId }, customerId, shown, reason };
}

/** Sends the browser on after a form, so that loading again sends nothing twice. */
export function goTo(ctx: Koa.Context, address: string): void {
  ctx.status = 303;
  ctx.redirect(address);
}

/** Whether a move was refused because of what happened to the consent before. */
export function isRefused(error: unknown, code: 'consent_state' | 'consent_changed'): boolean {
  return error instanceof Problem && error.code === code;
}

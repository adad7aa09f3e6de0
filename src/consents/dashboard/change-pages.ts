import type Koa from 'koa';
import { bounds } from '../../bounds.ts';
import { dayOf } from '../../clock.ts';
import type { SignedIn } from '../../http/account-door.ts';
import type { AccountChangeData } from '../../http/account-page-data.ts';
import { changeSentences } from '../../http/account-sentences.ts';
import { accountsToOffer, chosenAccounts } from '../accounts.ts';
import { Problem } from '../../problem.ts';
import { accountPrefix, chosenIn } from '../account-fields.ts';
import type { Consent, OfferedAccount } from '../consent-codec.ts';
import type { MoveFacts } from '../consent-store.ts';
import { latestEnd } from '../consent.ts';
import { regimes } from '../regimes/regimes.ts';
import { endTyped } from './end-date.ts';
import {
  clientNameOf,
  factsOf,
  goTo,
  isRefused,
  ownConsent,
  pathOf,
  sentencesOf,
  wordsFor,
} from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';

type Fields = Readonly<Record<string, string>>;
type Fault = AccountChangeData['problems'][number];

/** A consent as the page shows it, and who looks at it. */
interface Open {
  consent: Consent;
  signedIn: SignedIn;
  /** None where they can't be changed. */
  offered: readonly OfferedAccount[];
}

/** What is shown again after a form that was not accepted. */
interface Again {
  problems: readonly Fault[];
  /** What was chosen and typed; without it the consent as it is. */
  fields?: Fields;
  status: number;
}

/** Other accounts and another end, for consents that give access over time. */
export function createChangePages(deps: DashboardDependencies) {
  const { door } = deps;

  /** Undefined where there is nothing to change: the consent's own page says why. */
  async function open(ctx: Koa.Context, signedIn: SignedIn): Promise<Open | undefined> {
    const consent = await ownConsent(ctx, signedIn, deps);
    if (consent.state !== 'authorised' || consent.type === 'payment') {
      goTo(ctx, pathOf(consent));
      return undefined;
    }
    const offered =
      consent.type === 'accounts'
        ? accountsToOffer(consent, await deps.accountsOf(signedIn.customerId))
        : [];
    return { consent, signedIn, offered };
  }

  return {
    async show(ctx: Koa.Context): Promise<void> {
      const signedIn = await door.enter(ctx, { recent: true });
      const opened = signedIn && (await open(ctx, signedIn));
      if (opened !== undefined) await showForm(ctx, opened, { deps });
    },

    async submit(ctx: Koa.Context): Promise<void> {
      const { maxFieldsOfDecision: maxFields } = bounds.forms;
      const received = await door.receive(ctx, { recent: true, back: ctx.path, maxFields });
      const opened = received && (await open(ctx, received.signedIn));
      if (opened === undefined || received === undefined) return;
      const again = await change(ctx, opened, { fields: received.form, deps });
      if (again === undefined) goTo(ctx, `${pathOf(opened.consent)}?done=changed`);
      else await showAgain(ctx, again, opened);
    },
  };

  /** After a change by somebody else, what they left. */
  async function showAgain(ctx: Koa.Context, again: Again, opened: Open): Promise<void> {
    const present = again.fields === undefined ? await open(ctx, opened.signedIn) : opened;
    if (present !== undefined) await showForm(ctx, present, { deps, again });
  }
}

/** A change that was asked for and may be made. */
interface Change {
  accounts: readonly OfferedAccount[];
  end: Date | undefined;
  /** What is other than before; undefined for nothing. */
  what: 'accounts' | 'end' | 'both' | undefined;
}

/** What the form asks for, or what is wrong with it. */
function readChange(
  { consent, offered }: Open,
  fields: Fields,
  deps: Pick<DashboardDependencies, 'clock'>,
): Change | Again {
  const accounts =
    offered.length === 0 ? consent.accounts : chosenAccounts(consent, offered, chosenIn(fields));
  const typed = endTyped(fields['until'] ?? '', consent.expiresAt, limitsOf(consent, deps));
  if (accounts !== undefined && 'end' in typed) {
    return { accounts, end: typed.end, what: whatChanges(consent, accounts, typed.end) };
  }
  const problems: Fault[] = accounts === undefined ? ['no_account_chosen'] : [];
  if ('fault' in typed) problems.push(typed.fault);
  return { problems, fields, status: 422 };
}

/** Makes the change; what to show again where it could not be made. */
async function change(
  ctx: Koa.Context,
  opened: Open,
  { fields, deps }: { fields: Fields; deps: DashboardDependencies },
): Promise<Again | undefined> {
  const version = versionIn(fields);
  const wanted = readChange(opened, fields, deps);
  if ('problems' in wanted) return wanted;
  if (wanted.what === undefined) return undefined;
  const { id, clientId } = opened.consent;
  const { customerId } = opened.signedIn;
  try {
    const facts = changeFacts(opened, wanted, await shownTo(ctx, opened, deps));
    await deps.consents.move(id, 'change', { ...facts, version });
  } catch (error) {
    if (isRefused(error, 'consent_state')) return undefined; // it has ended; its page says so
    if (!isRefused(error, 'consent_changed')) throw error;
    return { problems: ['changed_meanwhile'], status: 409 };
  }
  deps.audit.record({
    ...{ type: 'consent.changed', outcome: 'success', clientId, customerId },
    ...{ actor: { type: 'customer', id: customerId }, detail: { consent: id, what: wanted.what } },
  });
  return undefined;
}

function changeFacts(
  { signedIn }: Open,
  { accounts, end, what = 'both' }: Change,
  shown: NonNullable<MoveFacts['shown']>,
): MoveFacts {
  return {
    ...factsOf(signedIn, { shown, reason: what }),
    accounts,
    ...(end === undefined ? {} : { expiresAt: end }),
    authentication: { ...signedIn.authentication, at: signedIn.authenticatedAt },
  };
}

function versionIn({ version = '' }: Fields): number {
  if (/^\d{1,9}$/.test(version)) return Number(version);
  throw new Problem('invalid_request', { detail: 'the form has no version' });
}

function whatChanges(
  consent: Consent,
  accounts: readonly OfferedAccount[],
  end: Date | undefined,
): Change['what'] {
  const idsOf = (of: readonly OfferedAccount[]) =>
    of
      .map(({ id }) => id)
      .sort()
      .join('\n');
  const areOther = idsOf(accounts) !== idsOf(consent.accounts);
  const isOther = end?.getTime() !== consent.expiresAt?.getTime();
  if (areOther && isOther) return 'both';
  if (areOther) return 'accounts';
  return isOther ? 'end' : undefined;
}

function limitsOf(consent: Consent, { clock }: Pick<DashboardDependencies, 'clock'>) {
  const now = clock.now();
  return { now, latest: latestEnd(consent, regimes[consent.regime], now) };
}

type Shown = Pick<AccountChangeData, 'client' | 'accounts' | 'until'>;

/** What the page is about: the consent as it is, or what was chosen and typed. */
async function shownOf(
  ctx: Koa.Context,
  { consent, offered }: Open,
  { deps, fields }: { deps: DashboardDependencies; fields?: Fields | undefined },
): Promise<Shown> {
  const words = wordsFor(ctx, deps);
  const chosen = fields === undefined ? idsOf(consent.accounts) : chosenIn(fields);
  const { now, latest } = limitsOf(consent, deps);
  const present = consent.expiresAt === undefined ? '' : dayOf(consent.expiresAt);
  return {
    client: await clientNameOf(consent, words, deps),
    accounts: offered.map(({ id, name, number }) => ({
      ...{ field: accountPrefix + id, name, number },
      isChosen: chosen.has(id),
    })),
    until: {
      value: fields?.['until'] ?? present,
      ...{ earliest: dayOf(now), earliestInWords: words.day(now) },
      latest: latest && dayOf(latest),
      latestInWords: latest && words.day(latest),
    },
  };
}

/** What the page said, before anything was changed on it; what was chosen then is kept beside it. */
async function shownTo(
  ctx: Koa.Context,
  opened: Open,
  deps: DashboardDependencies,
): Promise<NonNullable<MoveFacts['shown']>> {
  const words = wordsFor(ctx, deps);
  const shown = await shownOf(ctx, opened, { deps });
  const { accounts, until } = shown;
  const page = {
    ...changeSentences(shown, sentencesOf(words)),
    accounts: accounts.map(({ name, number, isChosen }) => ({ name, number, isChosen })),
    until: until.value,
  };
  return { locale: words.tag, text: JSON.stringify(page) };
}

async function showForm(
  ctx: Koa.Context,
  opened: Open,
  { deps, again }: { deps: DashboardDependencies; again?: Again },
): Promise<void> {
  const { problems, fields, status } = again ?? { problems: [], status: 200 };
  const { consent, signedIn } = opened;
  const { door, displayName, pages } = deps;
  const path = pathOf(consent);
  pages.show(ctx, {
    page: 'account-change',
    data: {
      accountName: await displayName(signedIn.customerId),
      ...(await shownOf(ctx, opened, { deps, fields })),
      ...{ action: `${path}/change`, backUrl: path, csrfToken: door.token(signedIn) },
      ...{ version: consent.version, problems: [...problems] },
    },
    status,
    languagePath: `${path}/change`,
  });
}

function idsOf(accounts: readonly OfferedAccount[]): Set<string> {
  return new Set(accounts.map(({ id }) => id));
}

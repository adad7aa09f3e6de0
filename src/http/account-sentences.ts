import type { AccountChangeData, AccountConfirmData } from './account-page-data.ts';
import type { TextKey } from './locale.ts';

/** The text of a key in the customer's language, with `{bank}` known. */
export type SentenceOf = (key: TextKey, values?: Record<string, string>) => string;

/** What the page says on which a consent is changed; whoever keeps what was shown takes it from here. */
export function changeSentences(
  { client, until }: Pick<AccountChangeData, 'client' | 'until'>,
  text: SentenceOf,
) {
  const { latestInWords: latest } = until;
  return {
    title: text('change.title', { client }),
    lead: text('change.lead'),
    accountsTitle: text('decision.share.accounts'),
    untilTitle: text('change.until'),
    hint: text(latest === undefined ? 'change.until.hintOpen' : 'change.until.hint', {
      ...{ client, latest: latest ?? '' },
    }),
    submit: text('change.submit'),
  };
}

interface Confirmation {
  title: TextKey;
  effects: TextKey[];
  submit: TextKey;
  keep: TextKey;
}

const confirmations: Record<AccountConfirmData['kind'], Confirmation> = {
  withdraw: {
    title: 'withdraw.title',
    effects: ['withdraw.now', 'withdraw.past', 'withdraw.again'],
    submit: 'withdraw.submit',
    keep: 'withdraw.keep',
  },
  'withdraw-payment': {
    title: 'withdrawPayment.title',
    effects: ['withdrawPayment.now', 'withdrawPayment.past'],
    submit: 'withdrawPayment.submit',
    keep: 'withdrawPayment.keep',
  },
  'end-app': {
    title: 'endApp.title',
    effects: ['endApp.now', 'withdraw.past', 'endApp.accounts', 'withdraw.again'],
    submit: 'endApp.submit',
    keep: 'endApp.keep',
  },
  'end-session': {
    title: 'endSession.title',
    effects: ['endSession.now', 'endSession.apps'],
    submit: 'endSession.submit',
    keep: 'endSession.keep',
  },
  'end-others': {
    title: 'endOthers.title',
    effects: ['endOthers.now', 'endSession.apps'],
    submit: 'sessions.endOthers',
    keep: 'endSession.keep',
  },
};

/** What the page says that asks whether to end something: access of `client`, or the session on `device`. */
export function confirmationSentences(
  {
    kind,
    client = '',
    device = '',
  }: Pick<AccountConfirmData, 'kind' | 'client'> & { device?: string },
  text: SentenceOf,
) {
  const { title, effects, submit, keep } = Object.hasOwn(confirmations, kind)
    ? confirmations[kind]
    : confirmations.withdraw;
  const values = { client, device };
  return {
    title: text(title, values),
    effects: effects.map((key) => text(key, values)),
    ...{ submit: text(submit), keep: text(keep) },
  };
}

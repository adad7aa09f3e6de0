import type { Consent } from './consent-codec.ts';
import { regimes } from './regimes/regimes.ts';

/** The texts of one language; the locale of a page fits. */
export interface Words {
  /** The bank's name. */
  bank: string;
  text(key: string, values?: Record<string, string>): string;
  date(date: Date): string;
  money(amount: string, currency: string): string;
}

/** What a consent is about, in words that the customer reads. */
export interface ConsentWords {
  kind: Consent['type'];
  /** What is shared, by data cluster. */
  clusters: { title: string; sentences: string[] }[];
  /** What is paid: the amount with its currency, to whom, and what they read. */
  payment: { amount: string; payee: string; payeeNumber: string; reference: string } | undefined;
  /** From which time transactions are shared, as a sentence. */
  range: string | undefined;
  /** Until when, as a sentence. */
  until: string;
}

/** The words of `consent`: every permission has a sentence, and what the bank has not foreseen its own name. */
export function consentWords(consent: Consent, words: Words): ConsentWords {
  return {
    kind: consent.type,
    clusters: clustersOf(consent, words),
    payment: paymentOf(consent, words),
    range: rangeOf(consent, words),
    until: untilOf(consent, words),
  };
}

function clustersOf(consent: Consent, words: Words): ConsentWords['clusters'] {
  const { permissions } = regimes[consent.regime];
  const clusters = new Map<string, string[]>();
  for (const name of consent.permissions) {
    const cluster = permissions[name]?.cluster ?? 'other';
    const sentences = clusters.get(cluster) ?? [];
    clusters.set(cluster, [...sentences, words.text(`permission.${name}`)]);
  }
  return [...clusters].map(([cluster, sentences]) => ({
    title: words.text(`cluster.${cluster}`),
    sentences,
  }));
}

function paymentOf({ payment }: Consent, words: Words): ConsentWords['payment'] {
  if (payment === undefined) return undefined;
  const { amount, currency, payee, reference = '' } = payment;
  return {
    amount: words.money(amount, currency),
    payee: payee.name ?? payee.identification,
    payeeNumber: payee.identification,
    reference,
  };
}

function rangeOf({ transactionsFrom: from, transactionsTo: to }: Consent, words: Words) {
  if (from !== undefined && to !== undefined) {
    return words.text('decision.range', { from: words.date(from), to: words.date(to) });
  }
  if (from !== undefined) return words.text('decision.rangeFrom', { from: words.date(from) });
  return to === undefined ? undefined : words.text('decision.rangeTo', { to: words.date(to) });
}

function untilOf({ type, expiresAt }: Consent, words: Words): string {
  if (type === 'payment') return words.text('decision.once');
  const { bank } = words;
  if (expiresAt === undefined) return words.text('decision.openEnded', { bank });
  return words.text('decision.until', { bank, date: words.date(expiresAt) });
}

/** The resource server's sentence in the customer's language, else in English, else the scope itself. */
export function scopeSentence(
  { name, sentences }: { name: string; sentences: Readonly<Record<string, string>> },
  { tag }: { tag: string },
): string {
  return sentences[tag] ?? sentences['en'] ?? name;
}

import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Consent } from '../consent-codec.ts';
import { plainTerms, plainTermsOf, plainWords } from './consent-plain-api.ts';
import { faultsOf } from '../consent.ts';
import type { ConsentTerms, ConsentType } from '../consent.ts';
import type { Lodging } from '../lodging.ts';
import { plain } from '../regimes/plain.ts';

/** Types of authorization details (RFC 9396 §2), and what each is about. */
const typesByName: Readonly<Record<string, ConsentType>> = {
  account_information: 'accounts',
  payment_initiation: 'payment',
  funds_confirmation: 'funds-confirmation',
};

/** The names of {@link typesByName}. */
export const detailTypes = Object.keys(typesByName);

type Detail = Readonly<Record<string, unknown>>;

const type = z.enum(detailTypes);
const naming = z.strictObject({ type, consent_id: z.string() });
const asking = z.strictObject({ type, ...plainTerms.shape });

function consentTypeOf({ type: name }: Detail): ConsentType | undefined {
  return typeof name === 'string' && Object.hasOwn(typesByName, name)
    ? typesByName[name]
    : undefined;
}

function termsOf(detail: Detail): ConsentTerms {
  const { type: name, ...terms } = asking.parse(detail);
  return plainTermsOf({ ...terms, type: typesByName[name] ?? 'accounts' });
}

/** What is wrong with an authorization detail; undefined for one that names a consent or may be lodged. */
export function faultOfDetail(detail: Detail, clock: Clock): string | undefined {
  const parsed = ('consent_id' in detail ? naming : asking).safeParse(detail);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `authorization_details: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`;
  }
  if ('consent_id' in detail) return undefined;
  const [fault] = faultsOf(termsOf(detail), plain, clock.now());
  return fault && `authorization_details: ${fault.message}`;
}

/** The scope that goes with a detail. */
export function scopeOfDetail(detail: Detail): string | undefined {
  const about = consentTypeOf(detail);
  return about && plain.scopes[about];
}

/** Lodges the consent that a detail asks for; gives its id. */
export async function lodgeDetail(
  lodging: Pick<Lodging, 'lodge'>,
  clientId: string,
  detail: Detail,
): Promise<string> {
  const lodged = await lodging.lodge(
    { clientId, regime: plain, terms: termsOf(detail) },
    undefined,
  );
  if ('consent' in lodged) return lodged.consent.id;
  throw new Error(`a detail was checked and is refused: ${lodged.faults[0]?.message ?? ''}`);
}

/** A consent as the detail that tokens carry: with the accounts that the customer chose (RFC 9396 §7.1). */
export function detailOf(consent: Consent): { type: string } & Record<string, unknown> {
  const [name = ''] = Object.entries(typesByName).find(([, about]) => about === consent.type) ?? [];
  const words = JSON.parse(JSON.stringify(plainWords(consent))) as Record<string, unknown>;
  return {
    type: name,
    consent_id: consent.id,
    ...words,
    accounts: consent.accounts.map(({ id }) => ({ id })),
  };
}

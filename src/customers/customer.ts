import { Problem } from '../problem.ts';

/** A person who logs in. */
export interface Customer {
  /** UUID; the public `sub`. */
  id: string;
  profile: CustomerProfile;
  passwordHash: string;
  passwordChangedAt: Date;
  status: 'active' | 'suspended';
}

/** User name and OpenID standard claims (OpenID Connect Core §5.1). */
export interface CustomerProfile {
  username: string;
  name?: string | undefined;
  given_name?: string | undefined;
  family_name?: string | undefined;
  birthdate?: string | undefined;
  locale?: string | undefined;
  email?: string | undefined;
  email_verified?: boolean | undefined;
  phone_number?: string | undefined;
  phone_number_verified?: boolean | undefined;
  address?: { formatted: string } | undefined;
}

/** The form in which user names are compared: customers don't remember capitals and can't see a composed accent. */
export function normaliseUsername(username: string): string {
  return username.normalize('NFKC').trim().toLowerCase();
}

/** NIST SP 800-63B §5.1.1.2: a password is compared in one Unicode form. */
export function normalisePassword(password: string): string {
  return password.normalize('NFC');
}

/** ASVS 6.2.1, 6.2.9: at least 12 where a password is the only factor, and long ones allowed. */
const passwordLength = { min: 12, max: 256 } as const;

/** Refuses a new password that is too short, too long, common, or the user name. Problem('password_…'). */
export function checkNewPassword(
  password: string,
  context: { username: string; isCommon(candidate: string): boolean },
): void {
  const length = Array.from(password).length; // characters, as people count them
  if (length < passwordLength.min) throw new Problem('password_too_short');
  if (length > passwordLength.max) throw new Problem('password_too_long');
  const folded = password.toLowerCase();
  if (context.isCommon(folded) || folded === normaliseUsername(context.username)) {
    throw new Problem('password_too_common');
  }
}

/** Claims for ID tokens and userinfo. */
export function claimsOf({
  profile,
  id,
}: Pick<Customer, 'id' | 'profile'>): Record<string, unknown> {
  const { username, ...claims } = profile;
  return { sub: id, preferred_username: username, ...claims };
}

/** Problem('customer_invalid') for a user name that can't be used. */
export function checkUsername(username: string): void {
  const length = normaliseUsername(username).length;
  if (length < 1 || length > 200 || /\p{Cc}/u.test(username)) {
    throw new Problem('customer_invalid', { detail: 'a user name has 1 to 200 characters' });
  }
}

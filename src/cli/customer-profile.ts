import type { Command } from 'commander';
import { z } from 'zod';
import type { CustomerProfile } from '../customers/customer.ts';
import { Problem } from '../problem.ts';

/** What a command line says about a customer. */
export interface ProfileOptions {
  name?: string;
  givenName?: string;
  familyName?: string;
  birthdate?: string;
  locale?: string;
  email?: string;
  emailVerified?: true;
  phoneNumber?: string;
  phoneNumberVerified?: true;
  address?: string;
}

/** Adds the options that say who a customer is. */
export function addProfileOptions(command: Command): Command {
  return command
    .option('--name <name>', 'full name')
    .option('--given-name <name>', 'given name')
    .option('--family-name <name>', 'family name')
    .option('--birthdate <date>', 'YYYY-MM-DD')
    .option('--locale <tag>', 'language, for example en-GB')
    .option('--email <address>', 'email address')
    .option('--email-verified', 'the address was verified')
    .option('--phone-number <number>', 'in E.164 form, for example +442071234567')
    .option('--phone-number-verified', 'the number was verified')
    .option('--address <text>', 'postal address, one line');
}

const short = z.string().trim().min(1).max(200).optional();

/** OpenID Connect Core §5.1. */
const profileSchema = z.strictObject({
  username: z.string(),
  name: short,
  given_name: short,
  family_name: short,
  birthdate: z.iso.date().optional(),
  locale: z
    .string()
    .regex(/^[A-Z]{2,3}(?:-[A-Z\d]{2,8})*$/i, 'must be a language tag such as en-GB')
    .optional(),
  email: z.email().max(254).optional(),
  email_verified: z.boolean().optional(),
  phone_number: z
    .string()
    .regex(/^\+[1-9]\d{5,14}$/, 'must be in E.164 form such as +442071234567')
    .optional(),
  phone_number_verified: z.boolean().optional(),
  address: z.strictObject({ formatted: z.string().min(1).max(500) }).optional(),
});

/** The profile that the options describe. Problem('customer_invalid') names every fault at once. */
export function profileOf(username: string, options: ProfileOptions): CustomerProfile {
  const { address } = options;
  const result = profileSchema.safeParse({
    username,
    name: options.name,
    given_name: options.givenName,
    family_name: options.familyName,
    birthdate: options.birthdate,
    locale: options.locale,
    email: options.email,
    email_verified: options.emailVerified,
    phone_number: options.phoneNumber,
    phone_number_verified: options.phoneNumberVerified,
    address: address === undefined ? undefined : { formatted: address },
  });
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Problem('customer_invalid', { detail: faults.join('; ') });
}

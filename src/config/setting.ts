import { z } from 'zod';

/** One setting: where it comes from, what it may be, and the sentence that the README shows. */
export interface Setting<T> {
  /** Environment variable; `<variable>_FILE` names a file that holds the value instead. */
  variable: string;
  /** Reads the text of the variable. */
  type: z.ZodType<T>;
  /** The value as one would write it, when the variable is not set. */
  fallback?: string;
  unit?: string;
  /** Never shown, printed or logged. */
  secret?: true;
  sentence: string;
}

/** Keeps the type of the value. */
export function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

/** A whole number, both bounds allowed. */
export const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, `must be a whole number, ${String(min)} or more`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must lie between ${String(min)} and ${String(max)}`);

/** One of these words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.enum(words, { error: `must be ${words.join(' or ')}` });

export const text = z.string().min(1, 'must not be empty');
export const optionalText = text.optional();
export const port = whole(0, 65_535);
export const flag = oneOf(['true', 'false']).transform((value) => value === 'true');

/** Scheme, host and port, nothing else. */
export const origin = z.string().refine((value) => {
  const url = URL.parse(value);
  return url !== null && url.origin === value;
}, 'must be an origin such as https://auth.bank.example, without a path or trailing slash');

/** Keys of 32 bytes, base64url, separated by commas. */
export const keys256 = z
  .string()
  .transform((value) => value.split(',').map((part) => Buffer.from(part.trim(), 'base64url')))
  .refine((keys) => keys.every((key) => key.length === 32), 'must be 32 bytes, base64url');

/** One such key, in a list all the same; a second one would never be used, so it is refused. */
export const key256 = keys256.refine((keys) => keys.length === 1, 'must be exactly one key');

const host = /^(?:[a-z\d](?:[a-z\d.-]*[a-z\d])?|\[[a-f\d:]+\])(?::\d{1,5})?$/;

/** Hosts, each with a port or without, separated by commas; none for an empty text. */
export const hostList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim().toLowerCase()))
  .transform((parts) => parts.filter((part) => part !== ''))
  .refine((parts) => parts.every((part) => host.test(part)), 'must be hosts such as 10.1.2.3:8443');

import type { Context } from 'koa';
import { Problem } from '../problem.ts';
import { decodeUtf8, readLimited } from './body.ts';

/** Limits of a form. */
export interface FormLimits {
  /** Bytes of the encoded body. */
  maxBytes: number;
  maxFields: number;
  /** Names that may occur more than once. */
  repeatable?: readonly string[];
}

const formType = /^application\/x-www-form-urlencoded(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*$/i;

function rejectOtherTypes(ctx: Context): void {
  const coding = ctx.get('Content-Encoding').toLowerCase();
  if (formType.test(ctx.get('Content-Type')) && (coding === '' || coding === 'identity')) return;
  throw new Problem('unsupported_media_type', { detail: 'not a plain URL-encoded UTF-8 form' });
}

function decodePart(part: string): string {
  let text: string;
  try {
    text = decodeURIComponent(part.replaceAll('+', ' '));
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'a form field is not well encoded', cause });
  }
  // PostgreSQL can't store it, and no form of ours has a use for it.
  if (text.includes('\0')) {
    throw new Problem('invalid_request', { detail: 'a form field contains U+0000' });
  }
  return text;
}

function parseFields(body: string, { maxFields, repeatable = [] }: FormLimits): FormField[] {
  const parts = body.split('&').filter((part) => part !== '');
  if (parts.length > maxFields) {
    throw new Problem('invalid_request', { detail: `more than ${String(maxFields)} form fields` });
  }
  const names = new Set<string>();
  return parts.map((part) => {
    const equals = part.indexOf('=');
    const name = decodePart(equals < 0 ? part : part.slice(0, equals));
    if (names.has(name) && !repeatable.includes(name)) {
      throw new Problem('invalid_request', { detail: 'a form field occurs twice' });
    }
    names.add(name);
    return [name, equals < 0 ? '' : decodePart(part.slice(equals + 1))];
  });
}

/** Name and value. */
export type FormField = [name: string, value: string];

/**
 * The fields of a form in their order. Problems: `unsupported_media_type` for anything but a URL-encoded UTF-8 form,
 * `payload_too_large`, and `invalid_request` for repeated fields and bad encodings.
 */
export async function readFormFields(ctx: Context, limits: FormLimits): Promise<FormField[]> {
  rejectOtherTypes(ctx);
  const body = await readLimited(ctx, limits.maxBytes);
  return parseFields(decodeUtf8(body), limits);
}

/** The fields of a hosted page's form, as a record without prototype. Problems as of {@link readFormFields}. */
export async function readForm(
  ctx: Context,
  limits: Omit<FormLimits, 'repeatable'>,
): Promise<Record<string, string>> {
  const form = Object.create(null) as Record<string, string>;
  for (const [name, value] of await readFormFields(ctx, limits)) form[name] = value;
  return form;
}

import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { Problem } from '../problem.ts';

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

function tooLarge(maxBytes: number): Problem {
  return new Problem('payload_too_large', {
    detail: `the form has more than ${String(maxBytes)} bytes`,
  });
}

/** Stops reading at the limit, but leaves the connection open for the answer. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (act: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      act();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      settle(() => {
        reject(tooLarge(maxBytes));
      });
    };
    const onEnd = (): void => {
      settle(() => {
        resolve(Buffer.concat(chunks));
      });
    };
    const onBroken = (cause?: Error): void => {
      settle(() => {
        reject(new Problem('invalid_request', { detail: 'the body ended early', cause }));
      });
    };
    if (request.readableEnded || request.destroyed) {
      onBroken();
      return;
    }
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
}

async function readLimited(ctx: Context, maxBytes: number): Promise<Buffer> {
  try {
    if (Number(ctx.get('Content-Length')) > maxBytes) throw tooLarge(maxBytes);
    return await readBody(ctx.req, maxBytes);
  } catch (error) {
    // The rest of the body is not worth reading before the next request of this connection.
    ctx.set('Connection', 'close');
    throw error;
  }
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'the form is not UTF-8', cause });
  }
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

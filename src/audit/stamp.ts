import type { Clock } from '../clock.ts';
import { redact } from '../observability/redact.ts';
import { redactText } from '../observability/redact-text.ts';
import { currentRequest } from '../observability/request-context.ts';
import type { AuditRow } from './audit-store.ts';
import type { AuditEntry } from './events.ts';
import { createUuidSequence } from './uuid.ts';

/** UTF-16 units; identifiers in refusals come from the caller and may be anything. */
const maxIdentifierLength = 512;

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

/** PostgreSQL's text and jsonb hold neither U+0000 nor lone surrogates; one such row would block the whole batch. */
function storable(text: string): string {
  return isStorable(text) ? text : text.toWellFormed().replaceAll('\u0000', '\uFFFD');
}

function isStorableJson(value: unknown): boolean {
  if (typeof value === 'string') return isStorable(value);
  if (typeof value !== 'object' || value === null) return true;
  const members = value as Record<string, unknown>;
  return Object.keys(members).every((key) => isStorable(key) && isStorableJson(members[key]));
}

function storableJson(value: unknown): unknown {
  if (typeof value === 'string') return storable(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [storable(key), storableJson(member)]),
  );
}

function identifier(text: string | undefined): string | null {
  if (text === undefined) return null;
  return storable(redactText(text).slice(0, maxIdentifierLength));
}

function detailOf(entry: AuditEntry): Record<string, unknown> {
  const reason = entry.outcome === 'success' ? undefined : currentRequest()?.reason;
  const detail = reason === undefined ? entry.detail : { reason, ...entry.detail };
  const clean = redact(detail ?? {});
  return (isStorableJson(clean) ? clean : storableJson(clean)) as Record<string, unknown>;
}

/**
 * Makes rows of entries at the moment they happen: identifier, time, request id and address, the inner reason of a refusal;
 * secrets are taken out and what the database can't hold is replaced.
 */
export function createStamp(clock: Clock): (entry: AuditEntry) => AuditRow {
  const nextId = createUuidSequence(clock);
  return (entry) => {
    const request = currentRequest();
    return {
      id: nextId(),
      at: clock.now(),
      type: entry.type,
      outcome: entry.outcome,
      actorType: entry.actor.type,
      actorId: identifier(entry.actor.id),
      clientId: identifier(entry.clientId),
      customerId: identifier(entry.customerId),
      address: identifier(request?.address),
      requestId: request?.requestId ?? null,
      detail: detailOf(entry),
    };
  };
}

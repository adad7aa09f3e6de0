import type Koa from 'koa';
import { bounds } from '../../bounds.ts';
import { readJsonText } from '../../http/body.ts';
import { parseJsonObject } from '../../security/strict-json.ts';
import type { ConsentCollection, ConsentDialect, RequestFault } from './consent-dialect-api.ts';
import type { ConsentPlace } from './consent-places-api.ts';
import type { IdempotencyKey } from '../consent-store.ts';
import type { TermsFault } from '../consent.ts';
import type { Lodging } from '../lodging.ts';

const maxFaults = 20;

interface Dependencies {
  mtlsOrigin: string;
  lodging: Lodging;
}

/** A request that is not carried out because of what is in it. */
export interface Faulty {
  faults: readonly RequestFault[];
}

/** Answers a request of a client that has proven itself; Problems of lodging, and of what can't be read. */
export type Handler = (
  ctx: Koa.Context,
  place: ConsentPlace,
  clientId: string,
) => Promise<Faulty | undefined>;

/** What clients do with consents, in the words of the API that they called. */
export function consentHandlers({ lodging, mtlsOrigin }: Dependencies) {
  const shelfOf = ({ dialect, collection }: ConsentPlace) => ({
    regime: dialect.regime,
    type: collection.type,
  });
  const selfOf = ({ path }: ConsentPlace, id: string) => `${mtlsOrigin}${path}/${id}`;

  const lodge: Handler = async (ctx, place, clientId) => {
    const { dialect, collection } = place;
    const key = idempotencyKeyIn(ctx, collection);
    if (Array.isArray(key)) return { faults: key };
    const request = await readBody(ctx);
    const parsed = collection.request.safeParse(parseJsonObject(request, bounds.consentRequests));
    if (!parsed.success) return { faults: faultsIn(parsed.error.issues) };
    const terms = collection.termsOf(parsed.data);
    const lodged = await lodging.lodge(
      { clientId, regime: dialect.regime, terms },
      key && { ...key, request },
    );
    if ('faults' in lodged) return { faults: inWordsOf(dialect, lodged.faults) };
    const self = selfOf(place, lodged.consent.id);
    ctx.status = 201;
    ctx.set('Location', self);
    ctx.body = collection.bodyOf(lodged.consent, self);
    return undefined;
  };

  const read: Handler = async (ctx, place, clientId) => {
    const id = place.id ?? '';
    const consent = await lodging.read(clientId, id, shelfOf(place));
    ctx.body = place.collection.bodyOf(consent, selfOf(place, id));
    return undefined;
  };

  const end: Handler = async (ctx, place, clientId) => {
    await lodging.end(clientId, place.id ?? '', shelfOf(place));
    ctx.status = 204;
    return undefined;
  };

  return { lodge, read, end };
}

export type Handlers = ReturnType<typeof consentHandlers>;

function inWordsOf(
  { memberPaths }: ConsentDialect,
  faults: readonly TermsFault[],
): readonly RequestFault[] {
  return faults.map(({ member, ...rest }) => ({ ...rest, path: memberPaths[member] }));
}

/** UK Read/Write API: at most 40 characters; blanks at the ends would be cut off on the way. */
const keyShape = /^[\x21-\x7e]{1,40}$/;
const keyHeader = 'x-idempotency-key';

function idempotencyKeyIn(
  ctx: Koa.Context,
  { idempotencyKey, name }: ConsentCollection,
): Omit<IdempotencyKey, 'request'> | RequestFault[] | undefined {
  const key = ctx.get(keyHeader);
  if (key === '') {
    if (idempotencyKey === 'optional') return undefined;
    return [{ kind: 'missing-header', path: keyHeader, message: 'the header must be there' }];
  }
  if (keyShape.test(key)) return { endpoint: name, key };
  const message = 'the header must be 1 to 40 visible ASCII characters';
  return [{ kind: 'invalid-header', path: keyHeader, message }];
}

/** The body as text; Problems of readJsonText. */
export function readBody(ctx: Koa.Context): Promise<string> {
  return readJsonText(ctx, bounds.consentRequests.maxBytes);
}

interface Issue {
  path: readonly PropertyKey[];
  message: string;
  code?: string | undefined;
}

/** What is wrong with a request, of the issues that its schema has with it. */
export function faultsIn(issues: readonly Issue[]): RequestFault[] {
  return issues.slice(0, maxFaults).map(({ path, message, code }) => ({
    kind: code === 'invalid_type' && message.endsWith('undefined') ? 'missing' : 'invalid',
    path: path.map(String).join('.'),
    message,
  }));
}

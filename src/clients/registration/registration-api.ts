import type Router from '@koa/router';
import type Koa from 'koa';
import { bounds } from '../../bounds.ts';
import { decodeUtf8, readLimited } from '../../http/body.ts';
import { currentRequest } from '../../observability/request-context.ts';
import { Problem } from '../../problem.ts';
import type { CertificateOf } from './registration-ports.ts';
import type { RegistrationBody } from './registration-request.ts';
import { identityScopesIn, scopeText } from './registration.ts';
import type { RegistrationAnswer, RegistrationCall, Registrations } from './registrations.ts';

/** The path of the endpoint; a registration's own is below it. */
const registrationPath = '/register';

interface Dependencies {
  mtlsOrigin: string;
  registrations: Registrations;
  certificateOf: CertificateOf;
}

type Handle = (ctx: Koa.Context, call: RegistrationCall) => Promise<void>;

/** The client registration endpoint (RFC 7591) and the client configuration endpoint (RFC 7592), over mTLS only. */
export function addRegistrationRoutes(router: Router, deps: Dependencies): void {
  const { registrations, mtlsOrigin } = deps;
  const answer = (ctx: Koa.Context, status: number, answered: RegistrationAnswer) => {
    ctx.status = status;
    ctx.body = clientInformation(answered, mtlsOrigin);
  };
  const registering: Record<string, Handle> = {
    async POST(ctx, call) {
      answer(ctx, 201, await registrations.register(call, () => readRegistration(ctx)));
    },
  };
  const managing: Record<string, Handle> = {
    async GET(ctx, call) {
      answer(ctx, 200, await registrations.read(call, idIn(ctx)));
    },
    async PUT(ctx, call) {
      const body = () => readRegistration(ctx);
      answer(ctx, 200, await registrations.replace(call, idIn(ctx), body));
    },
    async DELETE(ctx, call) {
      await registrations.delete(call, idIn(ctx));
      ctx.status = 204;
    },
  };
  router.all(registrationPath, endpoint(registering, deps));
  router.all(`${registrationPath}/:clientId`, endpoint(managing, deps));
}

/** What both endpoints have in common: the listener, the methods, who asks, and no caching (RFC 7591 §3.2.1). */
function endpoint(handlers: Readonly<Record<string, Handle>>, deps: Dependencies) {
  return async (ctx: Koa.Context): Promise<void> => {
    ctx.state['route'] = 'registration';
    if (currentRequest()?.listener !== 'mtls' || !ctx.path.startsWith(registrationPath)) {
      throw new Problem('not_found', { detail: 'registration is offered over mTLS only' });
    }
    const handle = Object.hasOwn(handlers, ctx.method) ? handlers[ctx.method] : undefined;
    if (handle === undefined) {
      ctx.set('Allow', Object.keys(handlers).join(', '));
      throw new Problem('method_not_allowed', { detail: ctx.method });
    }
    ctx.set('Cache-Control', 'no-store');
    try {
      await handle(ctx, { token: bearerIn(ctx), certificate: deps.certificateOf(ctx.req) });
    } catch (error) {
      if (error instanceof Problem && error.code === 'invalid_token') {
        ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
      }
      throw error;
    }
  };
}

function idIn(ctx: Koa.Context): string {
  return ctx.path.slice(registrationPath.length + 1);
}

const bearer = /^Bearer +([\w.~+/-]{1,8192}=*)$/i;

/** RFC 6750 §2.1. A header in another form is a token that nobody knows, not an absent one. */
function bearerIn(ctx: Koa.Context): string | undefined {
  const header = ctx.get('Authorization');
  if (header === '') return undefined;
  return bearer.exec(header)?.[1] ?? '';
}

const types: readonly (readonly [RegExp, RegistrationBody['type']])[] = [
  [/^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*$/i, 'json'],
  [/^application\/(?:jwt|jose)\s*$/i, 'jwt'],
];

/** The body and its type. Problem('invalid_client_metadata') for one that can't be read, with the reason. */
async function readRegistration(ctx: Koa.Context): Promise<RegistrationBody> {
  const [, type] = types.find(([pattern]) => pattern.test(ctx.get('Content-Type'))) ?? [];
  const coding = ctx.get('Content-Encoding').toLowerCase();
  if (type === undefined || (coding !== '' && coding !== 'identity')) {
    throw unreadable(`a body of type ${JSON.stringify(ctx.get('Content-Type').slice(0, 100))}`);
  }
  try {
    return { type, text: decodeUtf8(await readLimited(ctx, bounds.registrations.maxBytes)) };
  } catch (error) {
    if (error instanceof Problem) throw unreadable(error.detail ?? error.message, error);
    throw error;
  }
}

function unreadable(detail: string, cause?: unknown): Problem {
  return new Problem('invalid_client_metadata', { detail, cause });
}

/** RFC 7591 §3.2.1 and RFC 7592 §3: everything that is registered, also what the client did not ask for. */
function clientInformation(
  { registration, registrationToken, softwareStatement }: RegistrationAnswer,
  mtlsOrigin: string,
): Record<string, unknown> {
  const { client, issuedAt } = registration;
  const { client_id: clientId, ...metadata } = client.metadata;
  const scopes = [...identityScopesIn(metadata), scopeText(client.permissions)].join(' ');
  return {
    client_id: clientId,
    client_id_issued_at: Math.floor(issuedAt.getTime() / 1000),
    ...(registrationToken === undefined ? {} : { registration_access_token: registrationToken }),
    registration_client_uri: `${mtlsOrigin}${registrationPath}/${clientId}`,
    ...metadata,
    scope: `openid ${scopes}`.trim(),
    ...(softwareStatement === undefined ? {} : { software_statement: softwareStatement }),
  };
}

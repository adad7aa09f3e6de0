import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { rows, send } from './protocol.ts';
import type { Answer } from './protocol.ts';
import type { AuthorizationServer } from './server.ts';

/** A request at the registration endpoint. */
export interface RegistrationCall {
  method?: string;
  /** Below `/register`. */
  clientId?: string;
  certificate?: IssuedCertificate | undefined;
  token?: string | undefined;
  /** An object as JSON, or a text as it is. */
  body?: Record<string, unknown> | string;
  contentType?: string;
}

/** Sends a request to the registration endpoint over mTLS. */
export function callRegistration(
  server: AuthorizationServer,
  { method = 'POST', clientId, certificate, token, body, contentType }: RegistrationCall,
): Promise<Answer> {
  const path = clientId === undefined ? '/register' : `/register/${clientId}`;
  const type = contentType ?? (typeof body === 'string' ? 'application/jwt' : 'application/json');
  return send(server.fetch(certificate), server.mtlsOrigin + path, {
    method,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: {
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
}

const tables = ['clients', 'client_permissions', 'client_registrations', 'replay_identifiers'];

/** Everything that a registration may write, to see that a refused one wrote nothing. */
export async function registered(server: AuthorizationServer): Promise<string> {
  const contents = await Promise.all(
    tables.map((table) => rows(server, `SELECT t::text FROM ${table} t ORDER BY 1`)),
  );
  return JSON.stringify(contents);
}

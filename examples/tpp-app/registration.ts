import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Software } from './software.ts';

/** How we prove who we are at the token endpoint. */
export type Method = 'tls_client_auth' | 'private_key_jwt';

/** What the bank answered to our registration (RFC 7591 §3.2.1). */
export interface Registered {
  client_id: string;
  registration_access_token: string;
  registration_client_uri: string;
  token_endpoint_auth_method: string;
  [member: string]: unknown;
}

/** Where to register: the endpoint that asks for certificates (RFC 8705 §5). */
export async function registrationEndpoint(issuer: string, fetch: Fetch): Promise<string> {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  const metadata = (await expected(answer, 200)) as {
    mtls_endpoint_aliases?: { registration_endpoint?: string };
  };
  const endpoint = metadata.mtls_endpoint_aliases?.registration_endpoint;
  if (endpoint === undefined) throw new Error(`${issuer} does not offer registration`);
  return endpoint;
}

/** Registers with the software statement, and keeps the answer: the token in it is shown once. */
export async function register(
  software: Software,
  method: Method,
  { endpoint, fetch }: { endpoint: string; fetch: Fetch },
): Promise<Registered> {
  const body = { ...software.registration, token_endpoint_auth_method: method };
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const registered = (await expected(answer, 201)) as Registered;
  const text = `${JSON.stringify(registered)}\n`;
  writeFileSync(software.registeredFile, text, { mode: 0o600 });
  return registered;
}

/** What an earlier run registered, undefined without one. */
export function registeredBefore({ registeredFile }: Software): Registered | undefined {
  try {
    const answer = JSON.parse(readFileSync(registeredFile, 'utf8')) as Partial<Registered>;
    // curl keeps a refusal there as well.
    return answer.client_id === undefined ? undefined : (answer as Registered);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Deletes the registration (RFC 7592 §2.3); all tokens end with it. */
export async function unregister(
  { registeredFile }: Software,
  registered: Registered,
  fetch: Fetch,
): Promise<void> {
  const answer = await fetch(registered.registration_client_uri, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${registered.registration_access_token}` },
  });
  // 401: the bank does not know it any more, which is what we want.
  if (answer.status !== 401) await expected(answer, 204);
  rmSync(registeredFile);
}

type Fetch = typeof globalThis.fetch;

async function expected(answer: Response, status: number): Promise<unknown> {
  const text = await answer.text();
  if (answer.status !== status) throw new Error(`${String(answer.status)} ${answer.url} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

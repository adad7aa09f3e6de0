import { Agent, fetch as undiciFetch } from 'undici';

/** A certificate and its private key, PEM. */
export interface ClientCertificate {
  cert: string;
  key: string;
}

/** Ten seconds: an answer on one's own machine takes milliseconds, and nobody should wait for a server that hangs. */
const timeoutMs = 10_000;

/** `fetch` that trusts `ca` (PEM) instead of the public authorities, and presents `certificate` to who asks for one. */
export function trustingFetch(ca: string, certificate?: ClientCertificate): typeof fetch {
  const dispatcher = new Agent({
    connect: { ca, ...certificate, timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  // The same standard twice: undici's own types for it and Node's differ in details that don't matter here.
  return ((url: string, init: object = {}) =>
    undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

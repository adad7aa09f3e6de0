import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';
import { createTestCertificates } from './certificates.ts';
import type { AuthorizationServer } from './server.ts';

/** A security event as it came. */
export interface Received {
  /** Path and query of the push. */
  path: string;
  jwt: string;
  claims: JWTPayload;
  authorization: string | undefined;
  contentType: string | undefined;
  /** When, by `performance.now()`. */
  at: number;
}

/** What the receiver says to an event; undefined is never an answer. */
export type Answering = (event: Received) => { status: number; body?: unknown } | undefined;

/** A receiver of pushed security events over real TLS. */
export interface EventReceiver {
  url: string;
  /** What a server needs to reach it. */
  environment: Record<string, string>;
  received: Received[];
  answerBy(answering: Answering): void;
  /** Refuses connections until {@link EventReceiver.up}, at the same port. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a receiver that takes everything. */
export async function startEventReceiver(): Promise<EventReceiver> {
  const { authority, server: certificate } = await createTestCertificates();
  const received: Received[] = [];
  let answering: Answering = () => ({ status: 202 });
  const server = createServer(
    { cert: certificate.certificatePem, key: certificate.privateKeyPem },
    (request, response) => {
      void text(request).then((jwt) => {
        const { authorization, 'content-type': contentType } = request.headers;
        const path = request.url ?? '';
        const at = performance.now();
        const event = { path, jwt, claims: decodeJwt(jwt), authorization, contentType, at };
        received.push(event);
        const answer = answering(event);
        if (answer === undefined) return;
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
      });
    },
  );
  const listen = async (port: number): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  return {
    url: `https://localhost:${String(port)}/events`,
    environment: {
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(port)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: authority.certificatePem,
    },
    received,
    answerBy(next) {
      answering = next;
    },
    down: close,
    up: () => listen(port),
    close,
  };
}

const prefix = 'urn:countersign:event:consent:';

/** The consent and the step that an event tells of. */
export function stepOf(claims: JWTPayload): { consent: string; move: string } & EventBody {
  const [[uri, body]] = Object.entries(claims['events'] as Record<string, EventBody>) as [
    [string, EventBody],
  ];
  const { id } = claims['sub_id'] as { id: string };
  return { consent: id, move: uri.slice(prefix.length), ...body };
}

interface EventBody {
  state: string;
  version: number;
  type: string;
  client_id: string;
  initiated_by: string;
  reason?: string;
}

/** The moves that were told of a consent, in the order in which they came. */
export function movesOf(events: readonly { claims: JWTPayload }[], consentId: string): string[] {
  return events
    .map(({ claims }) => stepOf(claims))
    .filter(({ consent }) => consent === consentId)
    .map(({ move }) => move);
}

/** Verifies an event as a receiver does: by the published keys, its type, issuer and audience. */
export async function verifiedEvent(
  server: AuthorizationServer,
  jwt: string,
  audience: string,
): Promise<JWTPayload> {
  const response = await server.fetch()(`${server.issuer}/jwks`);
  const keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
  const options = { issuer: server.issuer, audience, typ: 'secevent+jwt' };
  return (await jwtVerify(jwt, keys, options)).payload;
}

/** What a receiver goes on with: an event that came twice, as its `jti` tells, counts where it came first. */
export function withoutDoubles<T extends { claims: JWTPayload }>(events: readonly T[]): T[] {
  return [
    ...new Map(events.toReversed().map((event) => [event.claims.jti, event])).values(),
  ].toReversed();
}

import { randomBytes } from 'node:crypto';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { bounds } from '../bounds.ts';
import type { Logger } from '../observability/logger.ts';

/** How long and how much a connection may take before it is cut. */
export interface ConnectionLimits {
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** Milliseconds from the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** Milliseconds for the whole request with its body. */
  readonly requestTimeoutMs: number;
  /** Milliseconds that a connection may idle between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** Bytes of the request line and all headers together. */
  readonly maxHeaderBytes: number;
  /** Headers of a request. */
  readonly maxHeaders: number;
  /** Milliseconds for which nothing may come or go, an answer that is waited for included. */
  readonly silenceTimeoutMs: number;
  /** Requests on one connection, after which it is closed. */
  readonly maxRequestsPerConnection: number;
  /** Connections at the same time; further ones are closed at once. */
  readonly maxConnections: number;
  /** Seconds for which a TLS session may be resumed, without the certificates being judged anew. */
  readonly sessionLifetimeSeconds: number;
}

/** Limits for a service whose requests are small forms and JSON documents. */
export const defaultConnectionLimits: ConnectionLimits = bounds.connections;

/** What a TLS listener needs. */
export interface ListenerOptions {
  /** The server's certificate with its intermediates, PEM. */
  readonly certificatePem: string;
  /** The server certificate's private key, PEM, not encrypted. */
  readonly privateKeyPem: string;
  readonly limits?: Partial<ConnectionLimits>;
  readonly logger: Pick<Logger, 'debug'>;
  /** Told of every handshake that failed, with a code of OpenSSL or Node such as `ERR_SSL_NO_SHARED_CIPHER`. */
  readonly onHandshakeFailure?: (reason: string) => void;
}

/** A listener that asks for client certificates. */
export interface MutualTlsListenerOptions extends ListenerOptions {
  /** The authorities whose client certificates are trusted, PEM, one certificate each. */
  readonly truststore: readonly string[];
}

/** The HTTPS server for browsers and for clients without certificates. Does not listen yet. */
export function createPublicListener(options: ListenerOptions, handler: RequestListener): Server {
  return createListener(options, {}, handler);
}

/**
 * The HTTPS server that asks for a client certificate and lets every handshake succeed: whether a
 * certificate is good enough is decided per request by `clientCertificateOf`, so that the client
 * gets an OAuth error instead of a TLS alert. An empty truststore trusts nobody. Does not listen yet.
 */
export function createMutualTlsListener(
  { truststore, ...options }: MutualTlsListenerOptions,
  handler: RequestListener,
): Server {
  const clientAuthentication = {
    requestCert: true,
    rejectUnauthorized: false,
    ca: [...truststore], // given even when empty: without `ca` Node trusts the public authorities
  };
  return createListener(options, clientAuthentication, handler);
}

/**
 * TLS 1.3, and for 1.2 the four suites that RFC 9325 §4.2 recommends, which FAPI 2.0 §5.2.2
 * makes the only ones. TLS 1.3 sorts and names its suites itself.
 */
const cipherSuites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');

const contextSettings = {
  minVersion: 'TLSv1.2',
  ciphers: cipherSuites,
  honorCipherOrder: true,
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
} as const satisfies ServerOptions;

const protocolSettings = {
  ...contextSettings,
  ALPNProtocols: ['http/1.1'],
} as const satisfies ServerOptions;

/** What a listener proves itself with, and whom it trusts. */
export type ListenerCertificates = Pick<ListenerOptions, 'certificatePem' | 'privateKeyPem'> &
  Partial<Pick<MutualTlsListenerOptions, 'truststore'>>;

/**
 * Lets a listener go on with other certificates: new handshakes use them, open connections stay. Sessions that began
 * before are not resumed, because whoever is no longer trusted would be. Throws what OpenSSL says of certificates that it
 * does not take; the old ones stay then.
 */
export function replaceCertificates(server: Server, certificates: ListenerCertificates): void {
  const { certificatePem: cert, privateKeyPem: key, truststore } = certificates;
  server.setSecureContext({
    ...contextSettings,
    ...{ cert, key },
    ...(truststore === undefined ? {} : { ca: [...truststore] }),
    sessionTimeout: defaultConnectionLimits.sessionLifetimeSeconds,
  });
  server.setTicketKeys(randomBytes(48));
}

function createListener(
  options: ListenerOptions,
  clientAuthentication: Pick<ServerOptions, 'requestCert' | 'rejectUnauthorized' | 'ca'>,
  handler: RequestListener,
): Server {
  const limits = { ...defaultConnectionLimits, ...options.limits };
  const server = createServer(
    {
      ...protocolSettings,
      ALPNProtocols: [...protocolSettings.ALPNProtocols],
      ...clientAuthentication,
      cert: options.certificatePem,
      key: options.privateKeyPem,
      handshakeTimeout: limits.handshakeTimeoutMs,
      sessionTimeout: limits.sessionLifetimeSeconds,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // A tenth of what a GET costs: nothing waits for the end of a body that is not there.
      optimizeEmptyRequests: true,
      // Node looks for late requests this often; its default of 30 s would stretch every timeout.
      connectionsCheckingInterval: 1000,
    },
    handler,
  );
  server.maxConnections = limits.maxConnections;
  server.maxHeadersCount = limits.maxHeaders;
  server.setTimeout(limits.silenceTimeoutMs);
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  reportHandshakeFailures(server, options);
  server.on('clientError', answerBadRequest);
  return server;
}

function reportHandshakeFailures(server: Server, options: ListenerOptions): void {
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const reason = error.code ?? 'UNKNOWN';
    options.logger.debug('A TLS handshake failed.', { reason, address: socket.remoteAddress });
    options.onHandshakeFailure?.(reason);
    socket.destroy();
  });
}

const badRequest = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/**
 * Answers what is no HTTP and closes. Node sends failed handshakes here as well: those sockets have
 * no protocol version yet and are only closed, as are clients that have gone.
 */
function answerBadRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  const established = socket instanceof TLSSocket && socket.getProtocol() !== null;
  if (!established || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  socket.end(badRequest, () => {
    socket.destroy();
  });
}

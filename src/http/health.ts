import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bounds } from '../bounds.ts';
import type { Metrics } from '../observability/metrics.ts';
import { Problem } from '../problem.ts';

/** Whether the process can serve, and the state of each thing that it needs, in a word or short sentence. */
export interface Readiness {
  ready: boolean;
  checks: Record<string, string>;
}

/** What the operators' server stands on. */
export interface OperationsServerOptions {
  /** A loopback address, or one that only the platform reaches: there is no authentication. */
  address: string;
  /** 0 lets the system choose. */
  port: number;
  metrics: Pick<Metrics, 'text' | 'contentType'>;
  readiness: () => Promise<Readiness>;
  /** Milliseconds after which a check that doesn't answer counts as failed; 2000 unless given. */
  readinessTimeoutMs?: number;
}

/** Liveness, readiness and metrics over plain HTTP. */
export interface OperationsServer {
  /** Rejects with the Problem `already_running` when the port is taken. */
  listen(): Promise<void>;
  /** The port that it listens on; only while it listens. */
  port(): number;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

/** Probes and scrapers come every few seconds; a flood of them costs one check a second. */
const readinessCacheMs = 1000;
const defaultReadinessTimeoutMs = 2000;

async function withinTime(check: () => Promise<Readiness>, timeoutMs: number): Promise<Readiness> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => {
      resolve({ ready: false, checks: { readiness: `no answer within ${String(timeoutMs)} ms` } });
    }, timeoutMs);
  });
  try {
    return await Promise.race([check(), late]);
  } catch {
    return { ready: false, checks: { readiness: 'the check failed' } };
  } finally {
    clearTimeout(timer);
  }
}

function cacheReadiness(check: () => Promise<Readiness>): () => Promise<Readiness> {
  let latest: { at: number; result: Promise<Readiness> } | undefined;
  return () => {
    const now = performance.now();
    if (latest === undefined || now - latest.at >= readinessCacheMs) {
      latest = { at: now, result: check() };
    }
    return latest.result;
  };
}

function answerers(options: OperationsServerOptions): ReadonlyMap<string, () => Promise<Answer>> {
  const { metrics, readiness, readinessTimeoutMs = defaultReadinessTimeoutMs } = options;
  const check = cacheReadiness(() => withinTime(readiness, readinessTimeoutMs));
  return new Map<string, () => Promise<Answer>>([
    ['/livez', () => Promise.resolve({ status: 200, type: 'text/plain', body: 'alive\n' })],
    [
      '/readyz',
      async () => {
        const result = await check();
        const body = `${JSON.stringify(result)}\n`;
        return { status: result.ready ? 200 : 503, type: 'application/json', body };
      },
    ],
    [
      '/metrics',
      async () => {
        await check(); // what it finds out is measured too, and nobody may be probing
        return { status: 200, type: metrics.contentType, body: await metrics.text() };
      },
    ],
  ]);
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
  });
  // Node leaves the body out for HEAD.
  response.end(body);
}

function plain(status: number, body: string): Answer {
  return { status, type: 'text/plain', body: `${body}\n` };
}

async function answer(
  request: IncomingMessage,
  paths: ReadonlyMap<string, () => Promise<Answer>>,
): Promise<Answer> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const answerPath = paths.get(path);
  if (answerPath === undefined) return plain(404, 'not found');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return plain(405, 'method not allowed');
  }
  try {
    return await answerPath();
  } catch {
    return plain(500, 'failed');
  }
}

function listenOn(server: Server, { address, port }: OperationsServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException): void => {
      const detail = `${address}:${String(port)}`;
      reject(
        cause.code === 'EADDRINUSE' ? new Problem('already_running', { detail, cause }) : cause,
      );
    };
    server.once('error', onError);
    server.listen(port, address, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** The server for probes and scrapers: `/livez`, `/readyz` (503 when not ready) and `/metrics`. */
export function createOperationsServer(options: OperationsServerOptions): OperationsServer {
  const { operations: limits } = bounds;
  const paths = answerers(options);
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: 1000, // Node's 30 s would stretch every timeout
    },
    (request, response) => {
      void answer(request, paths).then((ready) => {
        send(response, ready);
      });
    },
  );
  server.maxConnections = limits.maxConnections;
  server.maxHeadersCount = limits.maxHeaders;
  server.setTimeout(limits.silenceTimeoutMs);
  return {
    listen: () => listenOn(server, options),
    port: () => (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

import type { Agent } from 'node:https';
import { systemClock, type Clock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { Problem } from '../../src/problem.ts';
import {
  createCertificateSource,
  type ProxySettings,
  type Revocation,
} from '../../src/tls/certificate-source.ts';
import type { CertificateHeaderKind } from '../../src/tls/proxies/forwarded-certificate.ts';
import { createMutualTlsListener } from '../../src/tls/listeners.ts';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import { proxyHeaders } from './forwarded.ts';
import { recordingLogger } from './recording-logger.ts';
import { createTestServers, get, presenting } from './tls-servers.ts';

/** What the server made of a request; `error` is the reason of a refusal. */
export interface Seen {
  proxied?: boolean;
  address?: string | undefined;
  subject?: string;
  /** Certificates in the chain. */
  chain?: number;
  chainTrusted?: boolean;
  defect?: string;
  refusal?: string;
  error?: string;
  /** Names and values of the headers that were left. */
  left: string[];
}

export const proxySecret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';
export const nextProxySecret = 'bmV4dC1vbmUtYzQ3ZjA5ODEyYjM0NTY3ODlhYmNk';

/** Proxies known by network and secret. */
export const bySecret = { networks: ['127.0.0.0/8'], secrets: [nextProxySecret, proxySecret] };

/** A listener of ours over real TLS with a proxy in front of it, and what it made of each request. */
export async function certificateWorld() {
  const certificates = await createTestCertificates();
  const { foreignAuthority: proxyAuthority } = await createTestCertificates();
  const proxy = await clientCertificate(proxyAuthority, {
    subject: 'CN=proxy-1',
    sanDns: ['proxy.bank.internal'],
  });
  const client = await clientCertificate(certificates.authority);
  const servers = createTestServers();
  const state = fresh();
  const clock: Clock = { now: () => state.now() };

  async function start(proxies: Partial<ProxySettings> = {}, revocation?: Revocation) {
    const source = createCertificateSource({
      clientTruststore: certificates.authority.certificatePem,
      proxies: { ...noProxies, ...proxies },
      revocation,
      clock,
      metrics: state.metrics,
      logger: state.log.logger,
    });
    const { certificatePem, privateKeyPem } = certificates.server;
    const truststore = [certificates.authority.certificatePem];
    const { logger } = state.log;
    const options = { certificatePem, privateKeyPem, truststore, logger };
    const server = createMutualTlsListener(options, (request, response) => {
      answer(source, request).then(
        (seen) => response.end(JSON.stringify(seen)),
        () => response.destroy(),
      );
    });
    const port = await servers.listen(server);
    return async function send(
      headers: Record<string, string | string[]>,
      certificate?: IssuedCertificate,
      { path = '/', agent = false }: { path?: string; agent?: Agent | false } = {},
    ): Promise<Seen> {
      const ca = certificates.authority.certificatePem;
      const presented = certificate === undefined ? {} : presenting(certificate);
      const { body } = await get(port, { ca, ...presented, headers, path, agent });
      return body as Seen;
    };
  }

  return {
    certificates,
    proxyAuthority,
    proxy,
    client,
    /** The clock, the log and the metrics, which `reset` renews. */
    state,
    start,
    /** Proxies known by certificate and name. */
    byCertificate: () => ({
      truststore: proxyAuthority.certificatePem,
      names: [{ property: 'tls_client_auth_san_dns', value: 'proxy.bank.internal' }] as const,
    }),
    headersOf: (kind: CertificateHeaderKind, chain: readonly string[] = []) =>
      proxyHeaders[kind](client.certificatePem, chain),
    /** Requests whose certificate headers were dropped for this reason. */
    async dropped(reason: string): Promise<number> {
      const line = new RegExp(`certificate_headers_dropped_total{reason="${reason}"} (\\d+)`);
      return Number(line.exec(await state.metrics.text())?.[1] ?? 0);
    },
    async reset(): Promise<void> {
      await servers.close();
      Object.assign(state, fresh());
    },
  };
}

function fresh() {
  return { now: () => systemClock.now(), metrics: createMetrics(), log: recordingLogger() };
}

const noProxies: ProxySettings = {
  certificateHeader: 'rfc9440',
  addressHeader: 'x-forwarded-for',
  hops: 1,
  truststore: undefined,
  names: [],
  networks: [],
  secrets: [],
};

type Source = ReturnType<typeof createCertificateSource>;
type Request = Parameters<Source['of']>[0];

async function answer(source: Source, request: Request): Promise<Seen> {
  const left = () => [...Object.keys(request.headers), ...request.rawHeaders];
  try {
    const arrival = source.receive(request);
    await source.prepare(request, request.url === '/public' ? 'public' : 'mtls');
    const found = source.of(request);
    if (found === undefined) return { ...arrival, left: left() };
    const { chainTrusted, defect, refusal, chain } = found;
    const told = {
      ...(defect !== undefined && { defect }),
      ...(refusal !== undefined && { refusal }),
    };
    const { subject } = found.certificate;
    return { ...arrival, subject, chain: chain.length, chainTrusted, ...told, left: left() };
  } catch (error) {
    const reason = error instanceof Problem ? `${error.code}: ${error.detail ?? ''}` : 'unknown';
    return { error: reason, left: left() };
  }
}

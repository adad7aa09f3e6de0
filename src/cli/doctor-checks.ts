import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import type { OutboundFetch } from '../security/outbound-fetch.ts';
import { readTruststore } from '../tls/truststore.ts';

/** One thing that was looked at. */
export interface Finding {
  check: string;
  /** `failed` is unsafe or does not work; `warning` will be so, or may be meant. */
  status: 'ok' | 'warning' | 'failed';
  detail: string;
  /** Nothing unsafe was seen: it could not be looked at. */
  unseen?: true;
}

const millisecondsPerDay = 86_400_000;
const warnDays = 30;

/** How long the certificates last that the configuration names, and what its truststores leave out. */
export function certificateFindings(configuration: Configuration, clock: Clock): Finding[] {
  const { tlsCertificate, clientTruststore, proxyTruststore } = configuration;
  return [
    ...(tlsCertificate === undefined ? [] : [serverCertificate(tlsCertificate, clock)]),
    ...truststore('client truststore', clientTruststore, clock),
    ...truststore('proxy truststore', proxyTruststore, clock),
  ];
}

function serverCertificate(pem: string, clock: Clock): Finding {
  return lifetime('server certificate', new X509Certificate(pem), clock);
}

function truststore(check: string, pem: string | undefined, clock: Clock): Finding[] {
  if (pem === undefined) return [];
  const { certificates, warnings } = readTruststore(pem, clock);
  return [
    ...warnings.map((detail): Finding => ({ check, status: 'warning', detail })),
    ...certificates.map((text) => lifetime(check, new X509Certificate(text), clock)),
  ];
}

function lifetime(check: string, certificate: X509Certificate, clock: Clock): Finding {
  const days = (certificate.validToDate.getTime() - clock.now().getTime()) / millisecondsPerDay;
  const detail = `${certificate.subject.replaceAll('\n', ', ')} ends at ${certificate.validToDate.toISOString()}`;
  if (days < 0) return { check, status: 'failed', detail };
  return { check, status: days < warnDays ? 'warning' : 'ok', detail };
}

/** Where a running server takes token requests, and what its answers said of it. */
export interface Discovered {
  findings: Finding[];
  /** Token endpoints at the configured origins: for everybody, and for clients with certificates. */
  endpoints: string[];
}

/** Where the server is, as it is configured. */
export type Origins = Pick<Configuration, 'issuer' | 'mtlsOrigin'>;

const metadata = z.object({
  issuer: z.string(),
  token_endpoint: z.url(),
  mtls_endpoint_aliases: z.object({ token_endpoint: z.url() }).optional(),
});

/** Reads the metadata of a running server as clients do (OpenID Connect Discovery §4, RFC 8705 §5). */
export async function discover(
  configured: Origins,
  fetchOut: OutboundFetch,
  clock: Clock,
): Promise<Discovered> {
  const { issuer } = configured;
  const response = await fetchOut(`${issuer}/.well-known/openid-configuration`);
  const date = response.headers.get('date');
  const parsed = metadata.safeParse(await response.json().catch(() => undefined));
  if (!parsed.success) return failed(`${issuer} does not answer with metadata`, { unseen: true });
  const { token_endpoint: token, mtls_endpoint_aliases: aliases } = parsed.data;
  if (parsed.data.issuer !== issuer) return failed(`the server calls itself ${parsed.data.issuer}`);
  const named = [token, ...(aliases === undefined ? [] : [aliases.token_endpoint])];
  const { findings, endpoints } = endpointsOf(new Set(named), configured);
  return {
    findings: [
      { check: 'discovery', status: 'ok', detail: issuer },
      ...findings,
      clockFinding(date, clock),
    ],
    endpoints,
  };
}

function failed(detail: string, more: Pick<Finding, 'unseen'> = {}): Discovered {
  return { findings: [{ check: 'discovery', status: 'failed', detail, ...more }], endpoints: [] };
}

/** One at each configured origin at least, and none elsewhere: who answers there was not asked about. */
function endpointsOf(named: ReadonlySet<string>, { issuer, mtlsOrigin }: Origins): Discovered {
  const origins = new Set([issuer, mtlsOrigin].map(originOf));
  const endpoints = [...named].filter((endpoint) => origins.has(originOf(endpoint)));
  const foreign = [...named].filter((endpoint) => !endpoints.includes(endpoint));
  const known = new Set(endpoints.map(originOf));
  const unnamed = [...origins].filter((origin) => !known.has(origin));
  const pathname = endpoints.map((endpoint) => new URL(endpoint).pathname)[0];
  return {
    findings: [
      ...foreign.map((endpoint) => foreignFinding(endpoint)),
      ...unnamed.map((origin) => unnamedFinding(origin, pathname)),
    ],
    endpoints: [
      ...endpoints,
      ...(pathname === undefined ? [] : unnamed.map((origin) => `${origin}${pathname}`)),
    ],
  };
}

function originOf(url: string): string {
  return new URL(url).origin;
}

function foreignFinding(endpoint: string): Finding {
  const detail = `the metadata send clients to another origin than the configured ones, which was not asked: ${endpoint}`;
  return { check: 'discovery', status: 'failed', detail };
}

/** The server's own paths are the same at both origins. */
function unnamedFinding(origin: string, pathname: string | undefined): Finding {
  const what = `the metadata name no token endpoint at ${origin}`;
  return pathname === undefined
    ? { check: 'discovery', status: 'failed', detail: `${what}: nothing was examined there` }
    : { check: 'discovery', status: 'warning', detail: `${what}: ${pathname} is examined` };
}

/** Assertions and proofs are refused when clocks differ by more (FAPI 2.0 §5.3.2.1). */
const toleratedSeconds = 10;
const failedSeconds = 60;

function clockFinding(date: string | null, clock: Clock): Finding {
  const check = 'clock';
  const there = Date.parse(date ?? '');
  if (Number.isNaN(there)) return { check, status: 'warning', detail: 'the server sends no date' };
  const seconds = Math.round(Math.abs(there - clock.now().getTime()) / 1000);
  const detail = `the server's clock differs from this machine's by ${String(seconds)} s`;
  if (seconds > failedSeconds) return { check, status: 'failed', detail };
  return { check, status: seconds > toleratedSeconds ? 'warning' : 'ok', detail };
}

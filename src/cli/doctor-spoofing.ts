import { X509Certificate } from 'node:crypto';
import { randomSecret } from '../security/secrets.ts';
import type { OutboundFetch } from '../security/outbound-fetch.ts';
import type { Finding } from './doctor-checks.ts';

/** A client that the headers shall be taken for. */
export interface SpoofedClient {
  id: string;
  /** PEM, without its private key: what anybody has whom the client ever connected to. */
  certificate: string;
}

/** What an answer says to who tries to get in: the status and the OAuth error. */
interface Answer {
  status: number;
  error: string;
}

/** How the doctor comes: as one without a certificate, and with one of its own making, which nobody trusts. */
export interface Appearances {
  without: OutboundFetch;
  withOwn: OutboundFetch;
}

type Ask = (headers: Record<string, string>) => Promise<Answer>;

/**
 * Sends a certificate in every header in which some proxy sends one, and something that is none, to
 * a token endpoint, and compares each answer with the one to the same request without the header. A
 * header that is dropped changes nothing, so every change is a finding of status `failed`. Some proxies
 * hand on only what comes with a certificate, whosoever it is: so all of it again with one.
 */
export async function spoofCertificates(
  endpoint: string,
  client: SpoofedClient,
  { without, withOwn }: Appearances,
): Promise<Finding[]> {
  const check = `spoofing ${endpoint}`;
  const ask: Ask = (headers) => requestToken(endpoint, client, { headers, fetchOut: without });
  const expected = await ask({});
  if (expected.status !== 401) {
    const detail = `without a certificate the answer is ${textOf(expected)}, where 401 invalid_client is expected`;
    return [{ check, status: 'failed', detail }];
  }
  const askWithOwn: Ask = (headers) =>
    requestToken(endpoint, client, { headers, fetchOut: withOwn });
  const found = await changesBy(client, expected, ask);
  const details = found.length > 0 ? found : await changesBesideOwn(client, askWithOwn);
  if (details.length > 0) return details.map((detail) => ({ check, status: 'failed', detail }));
  const count = String(headersFor(client).length);
  return [{ check, status: 'ok', detail: `${count} forged headers changed nothing` }];
}

/** None where the proxy itself refuses certificates that it does not know. */
async function changesBesideOwn(client: SpoofedClient, ask: Ask): Promise<string[]> {
  const expected = await ask({}).catch(() => undefined);
  if (expected?.status !== 401) return [];
  const details = await changesBy(client, expected, ask);
  return details.map((detail) => `beside a certificate that nobody trusts, ${detail}`);
}

async function changesBy(client: SpoofedClient, expected: Answer, ask: Ask): Promise<string[]> {
  const details: string[] = [];
  for (const [name, value] of headersFor(client)) {
    const answer = await ask({ [name]: value });
    if (textOf(answer) === textOf(expected)) continue;
    details.push(
      `${name} from outside is read: ${textOf(answer)} instead of ${textOf(expected)}; let the proxy remove or overwrite it`,
    );
  }
  return details;
}

async function requestToken(
  endpoint: string,
  { id }: SpoofedClient,
  { headers, fetchOut }: { headers: Record<string, string>; fetchOut: OutboundFetch },
): Promise<Answer> {
  const response = await fetchOut(endpoint, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: id }),
  });
  return { status: response.status, error: errorIn(await response.text()) };
}

function errorIn(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    const error = (parsed as { error?: unknown } | null)?.error;
    return typeof error === 'string' ? error.slice(0, 64) : 'no error';
  } catch {
    return 'no JSON';
  }
}

function textOf({ status, error }: Answer): string {
  return `${String(status)} ${error}`;
}

/** What is no certificate: a server that reads the header complains, whoever it would have believed. */
const noCertificate = 'countersign-doctor';

function headersFor({ certificate }: SpoofedClient): [name: string, value: string][] {
  const der = new X509Certificate(certificate).raw.toString('base64');
  const encoded = encodeURIComponent(certificate);
  const truthful: [name: string, value: string][] = [
    ['Client-Cert', `:${der}:`],
    ['X-Forwarded-Client-Cert', `Cert="${encoded}"`],
    ['ssl-client-cert', encoded],
    ['X-SSL-Client-Cert', der],
    ['X-Forwarded-Tls-Client-Cert', der],
    ['X-Amzn-Mtls-Clientcert', encoded],
    ['X-Amzn-Mtls-Clientcert-Leaf', encoded],
    ['X-Client-Cert', encoded],
    ['X-SSL-Cert', encoded],
    ['X-ARR-ClientCert', der],
    ['SSL_CLIENT_CERT', encoded],
  ];
  const secret = randomSecret();
  return [
    ...truthful,
    ...truthful.map(([name]): [string, string] => [name, noCertificate]),
    ['Client-Cert-Chain', noCertificate],
    ['X-SSL-Client-Chain', noCertificate],
    ['Countersign-Proxy-Secret', secret],
    ['X-Amzn-WAF-Countersign-Proxy-Secret', secret],
  ];
}

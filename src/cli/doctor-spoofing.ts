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

/**
 * Sends a certificate in every header in which some proxy sends one, and something that is none, to
 * a token endpoint, and compares each answer with the one to the same request without the header. A
 * header that is dropped changes nothing, so every change is a finding of status `failed`.
 */
export async function spoofCertificates(
  endpoint: string,
  client: SpoofedClient,
  fetchOut: OutboundFetch,
): Promise<Finding[]> {
  const ask = (headers: Record<string, string>) =>
    requestToken(endpoint, client, { headers, fetchOut });
  const expected = await ask({});
  if (expected.status !== 401) {
    const detail = `without a certificate the answer is ${textOf(expected)}, where 401 invalid_client is expected`;
    return [{ check: `spoofing ${endpoint}`, status: 'failed', detail }];
  }
  const findings: Finding[] = [];
  for (const [name, value] of headersFor(client)) {
    const answer = await ask({ [name]: value });
    if (textOf(answer) === textOf(expected)) continue;
    findings.push({
      check: `spoofing ${endpoint}`,
      status: 'failed',
      detail: `${name} from outside is read: ${textOf(answer)} instead of ${textOf(expected)}; let the proxy remove or overwrite it`,
    });
  }
  if (findings.length > 0) return findings;
  const count = String(headersFor(client).length);
  return [
    {
      check: `spoofing ${endpoint}`,
      status: 'ok',
      detail: `${count} forged headers changed nothing`,
    },
  ];
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

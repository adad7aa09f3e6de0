import { X509Certificate } from 'node:crypto';
import { Problem } from '../problem.ts';
import type { OutboundFetch } from '../security/outbound-fetch.ts';
import { randomSecret } from '../security/secrets.ts';
import type { Finding } from './doctor-checks.ts';
import { shortened } from './output.ts';

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
  /** How the body begins, as a JSON string. */
  beginning: string;
}

/** How the doctor comes: as one without a certificate, and with one of its own making, which nobody trusts. */
export interface Appearances {
  without: OutboundFetch;
  withOwn: OutboundFetch;
  /** Ends every request. */
  signal: AbortSignal;
}

type Ask = (headers: Record<string, string>) => Promise<Answer>;

/**
 * Sends a certificate in every header in which some proxy sends one, and something that is none, to
 * a token endpoint, and compares each answer with the one to the same request without the header. A
 * header that is dropped changes nothing, so every change is a finding of status `failed`. Some proxies
 * hand on only what comes with a certificate, whosoever it is: so all of it again with one. Yields as it
 * finds; throws Problem('outbound_refused') when nobody answers or `signal` says that it is enough.
 */
export async function* spoofCertificates(
  endpoint: string,
  client: SpoofedClient,
  { without, withOwn, signal }: Appearances,
): AsyncGenerator<Finding> {
  const check = `spoofing ${endpoint}`;
  const asking =
    (fetchOut: OutboundFetch): Ask =>
    (headers) =>
      requestToken(endpoint, client, { headers, fetchOut, signal });
  const ask = asking(without);
  const expected = await ask({});
  if (textOf(expected) !== refusal) {
    const detail = `without a certificate the answer is ${textOf(expected)}, where ${refusal} is expected: ${expected.beginning}`;
    yield { check, status: 'failed', detail };
    return;
  }
  let isUnchanged = true;
  for await (const detail of changesBy(client, expected, ask)) {
    isUnchanged = false;
    yield { check, status: 'failed', detail };
  }
  if (isUnchanged) yield* besideOwn(check, client, { ask: asking(withOwn), signal });
}

/** What a server says that looked for a certificate and found none (RFC 6749 §5.2). */
const refusal = '401 invalid_client';

async function* besideOwn(
  check: string,
  client: SpoofedClient,
  { ask, signal }: { ask: Ask; signal: AbortSignal },
): AsyncGenerator<Finding> {
  const unchanged = `${String(headersFor(client).length)} forged headers changed nothing`;
  const expected = await answerTo(ask, signal);
  if (typeof expected === 'string' || textOf(expected) !== refusal) {
    const answer = typeof expected === 'string' ? expected : textOf(expected);
    const isAccepted = typeof expected !== 'string' && expected.status < 400;
    const detail = isAccepted
      ? `with a certificate that nobody trusts the answer is ${answer}`
      : `${unchanged}; not tried beside a certificate that nobody trusts, which is refused: ${answer}`;
    yield { check, status: isAccepted ? 'failed' : 'ok', detail };
    return;
  }
  let isUnchanged = true;
  for await (const detail of changesBy(client, expected, ask)) {
    isUnchanged = false;
    const beside = `beside a certificate that nobody trusts, ${detail}`;
    yield { check, status: 'failed', detail: beside };
  }
  if (isUnchanged) yield { check, status: 'ok', detail: unchanged };
}

/** Why there is none, where the proxy itself refuses certificates that it does not know. */
async function answerTo(ask: Ask, signal: AbortSignal): Promise<Answer | string> {
  try {
    return await ask({});
  } catch (error) {
    if (!(error instanceof Problem) || signal.aborted) throw error;
    return error.detail ?? error.message;
  }
}

async function* changesBy(
  client: SpoofedClient,
  expected: Answer,
  ask: Ask,
): AsyncGenerator<string> {
  for (const [name, value] of headersFor(client)) {
    const answer = await ask({ [name]: value });
    if (textOf(answer) === textOf(expected)) continue;
    yield `${name} from outside is read: ${textOf(answer)} instead of ${textOf(expected)}; let the proxy remove or overwrite it`;
  }
}

interface Sending {
  headers: Record<string, string>;
  fetchOut: OutboundFetch;
  signal: AbortSignal;
}

async function requestToken(
  endpoint: string,
  { id }: SpoofedClient,
  { headers, fetchOut, signal }: Sending,
): Promise<Answer> {
  const response = await fetchOut(endpoint, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: id }),
    signal,
  });
  const body = await response.text();
  const beginning = JSON.stringify(shortened(body, maxBeginning));
  return { status: response.status, error: errorIn(body), beginning };
}

const maxBeginning = 80;

function errorIn(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    const error = (parsed as { error?: unknown } | null)?.error;
    return typeof error === 'string' ? error.slice(0, 64) : 'no error';
  } catch {
    return 'no JSON';
  }
}

function textOf({ status, error }: Pick<Answer, 'status' | 'error'>): string {
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

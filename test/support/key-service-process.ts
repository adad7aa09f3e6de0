// A key service in a process of its own, which speaks as the transit engine of Vault does: it makes keys, keeps them, and
// signs. What it gets wrong on purpose it is told by messages.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { jwsAlgorithms } from '../../src/security/jws-algorithms.ts';

/** What the service is started with. */
export interface ServiceOrder {
  certificatePem: string;
  privateKeyPem: string;
  /** Authorities of its clients' certificates. */
  authorityPem: string;
  token: string;
}

/** How it behaves. */
export interface Behaviour {
  mood: 'well' | 'sealed' | 'hanging' | 'forging' | 'gone';
  token: string;
}

/** What it says of itself. */
export type ServiceReport =
  { port: number } | { behaves: true; asked: number; most: number; refused: number };

interface StoredKey {
  type: string;
  versions: KeyObject[];
}

const keys = new Map<string, StoredKey>();
let behaviour: Behaviour = { mood: 'well', token: '' };
let running = 0;
let asked = 0;
let most = 0;
let refused = 0;

function pairOf(type: string) {
  if (type === 'rsa-2048') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (type === 'ecdsa-p256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('ed25519');
}

function published(key: StoredKey): object {
  const versions = key.versions.map((privateKey, index) => {
    const jwk = privateKey.export({ format: 'jwk' });
    const bare = Buffer.from(jwk.x ?? '', 'base64url').toString('base64');
    const text = key.type === 'ed25519' ? bare : publicPem(privateKey);
    return [String(index + 1), { public_key: text }];
  });
  return {
    type: key.type,
    latest_version: key.versions.length,
    keys: Object.fromEntries(versions) as object,
  };
}

function publicPem(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
}

interface SignRequest {
  input: string;
  key_version: number;
  signature_algorithm?: string;
  marshaling_algorithm?: string;
}

function algorithmOf({ type }: StoredKey, body: SignRequest): string {
  if (type === 'ed25519') return 'EdDSA';
  if (type === 'ecdsa-p256') return 'ES256';
  return body.signature_algorithm === 'pss' ? 'PS256' : 'RS256';
}

function signature(key: StoredKey, body: SignRequest): string | undefined {
  const privateKey = key.versions[body.key_version - 1];
  const algorithm = jwsAlgorithms[algorithmOf(key, body)];
  if (privateKey === undefined || algorithm === undefined) return undefined;
  const data = Buffer.from(behaviour.mood === 'forging' ? 'bm90aGluZw==' : body.input, 'base64');
  const bytes = sign(algorithm.digest, data, { ...algorithm.options, key: privateKey });
  const isJws = body.marshaling_algorithm === 'jws';
  return `vault:v${String(body.key_version)}:${bytes.toString(isJws ? 'base64url' : 'base64')}`;
}

function answer(method: string, path: string, body: unknown): { status: number; data?: unknown } {
  const [, kind, name = '', action] =
    /^\/v1\/transit\/(keys|sign)\/([\w-]+)(?:\/(.+))?$/.exec(path) ?? [];
  const key = keys.get(name);
  if (key === undefined) {
    return method === 'POST' && kind === 'keys' && action === undefined
      ? made(name, body as { type: string })
      : { status: 404 };
  }
  if (kind === 'sign') {
    return { status: 200, data: { signature: signature(key, body as SignRequest) } };
  }
  if (method === 'GET') return { status: 200, data: published(key) };
  if (action === 'rotate') key.versions.push(pairOf(key.type).privateKey);
  return { status: 204 };
}

function made(name: string, { type }: { type: string }): { status: number } {
  keys.set(name, { type, versions: [pairOf(type).privateKey] });
  return { status: 204 };
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  asked += 1;
  running += 1;
  most = Math.max(most, running);
  response.on('close', () => (running -= 1));
  const content = await textOf(request);
  if (behaviour.mood === 'hanging') return;
  if (request.headers['x-vault-token'] !== behaviour.token) {
    refused += 1;
    response.writeHead(403).end('{"errors":["permission denied"]}');
  } else if (behaviour.mood === 'sealed') {
    response.writeHead(503).end('{"errors":["Vault is sealed"]}');
  } else {
    const body: unknown = content === '' ? {} : JSON.parse(content);
    const { status, data } = answer(request.method ?? '', request.url ?? '', body);
    response.writeHead(status).end(data === undefined ? '' : JSON.stringify({ data }));
  }
}

function serve(order: ServiceOrder): void {
  behaviour.token = order.token;
  const server = createServer(
    {
      cert: order.certificatePem,
      key: order.privateKeyPem,
      ca: order.authorityPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => void handle(request, response),
  );
  let port = 0;
  server.listen(0, '127.0.0.1', () => {
    ({ port } = server.address() as AddressInfo);
    process.send?.({ port });
  });
  process.on('message', (message) => {
    const isGone = behaviour.mood === 'gone';
    behaviour = message as Behaviour;
    const counts = { asked, most, refused };
    const reply = () => process.send?.({ behaves: true, ...counts });
    if (behaviour.mood === 'gone') {
      server.close(reply);
      server.closeAllConnections();
    } else if (isGone) server.listen(port, '127.0.0.1', reply);
    else reply();
    asked = 0;
    most = running;
  });
}

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.once('message', (order) => {
  serve(order as ServiceOrder);
});

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import { SignJWT, importJWK } from 'jose';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { issueClientCertificate } from '../../src/development/certificate-authority.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { Place, World } from '../parts/world.ts';
import { openConnection } from './connection.ts';

/** A third party with a certificate and a fresh software statement that no server has seen. */
export interface Newcomer {
  certificate: IssuedCertificate;
  /** The body of its registration. */
  body: string;
}

/** Serves the directory's keys, and as the key set of every software the same one. */
export function serveDirectory({ directory, server }: World): Promise<void> {
  const { d: _private, ...key } = directory.key;
  const keySet = JSON.stringify({ keys: [key] });
  const { certificatePem: cert, privateKeyPem } = server;
  const listener = createServer({ cert, key: privateKeyPem }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/jwk-set+json' }).end(keySet);
  });
  listener.unref();
  return new Promise((resolve) => listener.listen(directory.port, '127.0.0.1', resolve));
}

/** Makes newcomers, so that what their certificates and statements cost is not measured. */
export async function makeNewcomers(world: World, count: number): Promise<Newcomer[]> {
  const key = await importJWK(world.directory.key, 'ES256');
  return Promise.all(Array.from({ length: count }, () => newcomer(world, key)));
}

async function newcomer(
  { authority, directory }: World,
  key: Awaited<ReturnType<typeof importJWK>>,
): Promise<Newcomer> {
  const id = randomUUID();
  const redirectUris = [`https://${id}.example.com/callback`];
  const certificate = await issueClientCertificate(authority, {
    subject: `UID=${id},CN=${id},2.5.4.97=PSDGB-FCA-123456,O=Example TPP,C=GB`,
    clock: systemClock,
  });
  const statement = await new SignJWT({
    iss: directory.issuer,
    iat: epochSeconds(systemClock),
    jti: randomUUID(),
    software_id: id,
    software_client_name: `Software ${id}`,
    software_redirect_uris: redirectUris,
    software_roles: ['AISP', 'PISP'],
    software_jwks_uri: `${directory.origin}/software/${id}`,
    org_id: 'PSDGB-FCA-123456',
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'directory' })
    .sign(key);
  const body = JSON.stringify({
    software_statement: statement,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
  });
  return { certificate, body };
}

/** Registers one over a connection of its own; milliseconds from the TLS handshake to the whole answer. */
export async function register(
  { certificate, body }: Newcomer,
  { world, place }: { world: World; place: Place },
): Promise<number> {
  const startedAt = performance.now();
  const connection = openConnection({
    port: place.mtlsPort,
    origin: place.mtlsOrigin,
    ca: world.authority.certificatePem,
    certificate,
  });
  const { status, text } = await connection.postJson('/register', body);
  const taken = performance.now() - startedAt;
  await connection.close();
  if (status !== 201) throw new Error(`not registered: status ${String(status)}: ${text}`);
  return taken;
}

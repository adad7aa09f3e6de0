import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import path from 'node:path';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import type { TestCertificates } from './certificates.ts';
import { accountsApi } from './server.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { createTestServers } from './tls-servers.ts';

/** The directory whose clients register by JSON, once for each software. */
export const ukDirectory = 'https://directory.example.com';
/** One whose clients sign their requests, and may register a software several times. */
export const signedDirectory = 'https://signed.example.com';
/** One that says more of the organisation, and takes keys by value; its keys are in a file. */
export const strictDirectory = 'https://strict.example.com';

/** A key pair whose public half has a `kid`. */
export interface TestKey {
  privateKey: CryptoKey;
  publicJwk: JWK;
}

/** What makes a statement another one than usual; undefined claims are left out. */
export interface StatementVariation {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}

/** A software of a third party as the directory knows it. */
export interface TestSoftware {
  id: string;
  /** The subject of its certificate. */
  subject: string;
  redirectUri: string;
  jwksUri: string;
  key: TestKey;
  /** A statement by `issuer`. */
  statement(issuer?: string, variation?: StatementVariation): Promise<string>;
  /** A signed request (UK DCR 3.3) with these members. */
  signed(members: Record<string, unknown>, variation?: StatementVariation): Promise<string>;
}

/** Directories with keys of their own, on a server that the authorization server may reach. */
export interface TestDirectory {
  /** For the authorization server. */
  environment: Record<string, string>;
  origin: string;
  key: TestKey;
  /** Requests so far, by path. */
  requests: string[];
  /** Whether the directory answers with 503. */
  isDown: boolean;
  /** What is served, by path. */
  documents: Map<string, unknown>;
  certificates: TestCertificates;
  software(options?: { id?: string; audience?: string }): Promise<TestSoftware>;
  close(): Promise<void>;
}

const roles = {
  AISP: { [accountsApi]: ['accounts'] },
  PISP: { [accountsApi]: ['payments'] },
};

/** Starts the directories; `more` are further entries of the directories' file. */
export async function testDirectory(more: Record<string, unknown>[] = []): Promise<TestDirectory> {
  const servers = createTestServers();
  const certificates = await createTestCertificates();
  const folder = await temporaryDirectory();
  const documents = new Map<string, unknown>();
  const requests: string[] = [];
  const key = await testKey('directory-1');
  documents.set('/keys', { keys: [key.publicJwk] });
  const { certificatePem, privateKeyPem } = certificates.server;
  const port = await servers.listen(
    createServer({ cert: certificatePem, key: privateKeyPem }, (request, response) => {
      const at = request.url ?? '';
      requests.push(at);
      const document = directory.isDown ? undefined : documents.get(at);
      if (document === undefined) response.writeHead(directory.isDown ? 503 : 404).end();
      else response.writeHead(200).end(JSON.stringify(document));
    }),
  );
  const origin = `https://localhost:${String(port)}`;
  const file = path.join(folder.path, 'directories.json');
  await writeFile(path.join(folder.path, 'keys.json'), JSON.stringify(documents.get('/keys')));
  const entries = [...entriesOf(`${origin}/keys`), ...more];
  await writeFile(file, JSON.stringify({ directories: entries }));
  const directory: TestDirectory = {
    environment: {
      COUNTERSIGN_DIRECTORIES: file,
      COUNTERSIGN_OUTBOUND_ALLOW: `localhost:${String(port)}`,
      COUNTERSIGN_OUTBOUND_TRUSTSTORE: certificates.authority.certificatePem,
    },
    origin,
    key,
    requests,
    isDown: false,
    documents,
    certificates,
    software: (options) => newSoftware(directory, options),
    async close() {
      await servers.close();
      await folder.remove();
    },
  };
  return directory;
}

function entriesOf(url: string): Record<string, unknown>[] {
  const usual = {
    algorithms: ['PS256', 'ES256'],
    maxAgeSeconds: 300,
    roles,
    certificate: [{ attribute: 'UID', claim: 'software_id' }],
    profile: 'baseline',
  };
  return [
    { ...usual, issuer: ukDirectory, keys: { url } },
    { ...usual, issuer: signedDirectory, keys: { url }, body: 'jwt', onePerSoftware: false },
    {
      ...usual,
      issuer: strictDirectory,
      keys: { file: 'keys.json' },
      audience: 'the bank',
      keysByValue: true,
      onePerSoftware: false,
      profile: 'fapi2',
      claimValues: { org_status: ['Active'] },
      certificate: [
        { attribute: 'UID', claim: 'software_id' },
        { attribute: 'organizationIdentifier', claim: 'org_id', prefix: 'OFBBR-' },
      ],
    },
  ];
}

/** An ES256 key pair. */
export async function testKey(kid: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
}

async function newSoftware(
  directory: TestDirectory,
  { id = randomUUID(), audience }: { id?: string; audience?: string } = {},
): Promise<TestSoftware> {
  const key = await testKey(`software-${id}`);
  const documentPath = `/software/${id}`;
  directory.documents.set(documentPath, { keys: [key.publicJwk] });
  const redirectUri = `https://${id}.example.com/callback`;
  const jwksUri = directory.origin + documentPath;
  const usual = {
    software_id: id,
    software_client_name: `Software ${id}`,
    software_redirect_uris: [redirectUri, `${redirectUri}/other`],
    software_roles: ['AISP'],
    software_jwks_uri: jwksUri,
    org_id: 'org-1',
  };
  return {
    id,
    subject: `UID=${id},CN=${id},2.5.4.97=OFBBR-org-1,O=Example TPP,C=GB`,
    redirectUri,
    jwksUri,
    key,
    statement(issuer = ukDirectory, variation = {}) {
      const claims = { iss: issuer, iat: epochSeconds(systemClock), jti: randomUUID(), ...usual };
      return signed({ ...claims, ...variation.claims }, variation, directory.key);
    },
    signed(members, variation = {}) {
      const now = epochSeconds(systemClock);
      const envelope = { iss: id, aud: audience, iat: now, exp: now + 60, jti: randomUUID() };
      return signed({ ...envelope, ...members, ...variation.claims }, variation, key);
    },
  };
}

function signed(
  claims: Record<string, unknown>,
  { header = {}, key }: StatementVariation,
  { privateKey, publicJwk }: TestKey,
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: publicJwk.kid ?? '', ...header })
    .sign(key ?? privateKey);
}

/** The certificate of a software by an authority that the authorization server trusts. */
export function softwareCertificate(
  { certificates }: { certificates: TestCertificates },
  { subject }: Pick<TestSoftware, 'subject'>,
) {
  return clientCertificate(certificates.authority, { subject });
}

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createProbe } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { JWK } from 'jose';
import { systemClock } from '../../src/clock.ts';
import {
  createCertificateAuthority,
  issueClientCertificate,
  issueServerCertificate,
} from '../../src/development/certificate-authority.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import { createDirectory } from './directory.ts';
import type { BenchDirectory } from './directory.ts';

/** The resource server of most figures: RS256 JWT access tokens. */
export const accountsApi = 'https://accounts.example.com';
/** The resource server with opaque access tokens. */
export const opaqueApi = 'https://opaque.example.com';

/** Connections that ask at the same time, each with a certificate of its own. */
export const laneCount = 8;

/** Clients 0 to `activeClients` - 1 take turns; the others only fill the table. */
export const activeClients = 1000;

/** The servers that run side by side. */
export const serverNames = ['bare', 'large', 'second', 'wide', 'small'] as const;
/**
 * "bare" is oidc-provider alone. "large" is Countersign on a database of 100,000 clients and a million grants, "second"
 * another process on the same one, "wide" one with 100,000 clients and a thousand grants, "small" one with 10 clients and a
 * thousand grants: what differs between the last two is the clients, and between "large" and "wide" the grants.
 */
export type ServerName = (typeof serverNames)[number];

/** Where a server is; two processes on one database have the same issuer, as behind a load balancer. */
export interface Place {
  port: number;
  mtlsPort: number;
  issuer: string;
  mtlsOrigin: string;
  databaseUrl: string;
  /** How many clients take turns. */
  clients: number;
  /** Where requests are counted, if not in Postgres; `nowhere` for no limits at all. */
  limits?: 'memory' | 'nowhere';
}

/** Everything that the processes of one run share. */
export interface World {
  /** RS256: what most is signed with. */
  signingKey: JWK;
  /** PS256: what FAPI 2.0 wants ID tokens signed with; RSA-2048 as well. */
  fapiKey: JWK;
  directory: BenchDirectory;
  authority: IssuedCertificate;
  server: IssuedCertificate;
  lanes: readonly IssuedCertificate[];
  /** One for each lane: many logins of one account at once are taken for guessing. */
  customers: readonly { username: string; password: string }[];
  /** Secrets of "accounts-rs" and "opaque-rs". */
  secrets: Record<'accounts-rs' | 'opaque-rs', string>;
  /** Of the proxy that asks the edge. */
  proxySecret: string;
  /** One that proves itself by a certificate instead; undefined where there is none. */
  proxy?: { authority: string; certificate: IssuedCertificate };
  /** 32 bytes base64url each. */
  keys: Record<'cookie' | 'encryption' | 'digest' | 'pairwise', string>;
  places: Record<ServerName, Place>;
}

/** The registered subject of the clients that use a lane; `#` stands for the lane. */
export const subjectPattern = 'CN=lane-#,O=Example TPP\\, Ltd,2.5.4.97=PSDGB-FCA-123456,C=GB';

/** Makes keys, certificates and ports. */
export async function createWorld(
  directory: string,
  databases: Record<'large' | 'wide' | 'small', string>,
): Promise<World> {
  const clock = systemClock;
  const authority = await createCertificateAuthority({ clock, commonName: 'Bench CA' });
  const lanes = Array.from({ length: laneCount }, (_, lane) =>
    issueClientCertificate(authority, {
      subject: subjectPattern.replace('#', String(lane)),
      clock,
    }),
  );
  const keyFiles = createKeyFiles(path.join(directory, 'signing'), clock);
  const newKey = async (alg: 'RS256' | 'PS256') => {
    const { privateJwk, kid } = await keyFiles.generate(alg, 'active');
    return { ...privateJwk, kid, alg, use: 'sig' };
  };
  const large = await newPlace({ databaseUrl: databases.large, clients: activeClients });
  const { issuer, mtlsOrigin } = large;
  return {
    signingKey: await newKey('RS256'),
    fapiKey: await newKey('PS256'),
    directory: await createDirectory({
      folder: directory,
      port: await freePort(),
      resource: accountsApi,
    }),
    authority,
    server: await issueServerCertificate(authority, { hostnames: ['localhost'], clock }),
    lanes: await Promise.all(lanes),
    customers: lanes.map((_, lane) => ({ username: `casey-${String(lane)}`, password: secret() })),
    secrets: { 'accounts-rs': secret(), 'opaque-rs': secret() },
    proxySecret: secret(),
    keys: { cookie: secret(), encryption: secret(), digest: secret(), pairwise: secret() },
    places: {
      bare: await newPlace({ databaseUrl: '', clients: activeClients }),
      large,
      second: {
        ...(await newPlace({ databaseUrl: databases.large, clients: activeClients })),
        issuer,
        mtlsOrigin,
      },
      wide: await newPlace({ databaseUrl: databases.wide, clients: activeClients }),
      small: await newPlace({ databaseUrl: databases.small, clients: 10 }),
    },
  };
}

/** The name in the certificate of the proxy. */
export const proxyName = 'proxy.bank.internal';

/** A proxy's certificate, of an authority that issues to proxies alone. */
export async function createProxy(): Promise<NonNullable<World['proxy']>> {
  const clock = systemClock;
  const authority = await createCertificateAuthority({ clock, commonName: 'Bench Proxies CA' });
  const subject = { subject: 'CN=proxy', sanDns: [proxyName], clock };
  const certificate = await issueClientCertificate(authority, subject);
  return { authority: authority.certificatePem, certificate };
}

/** Hands the world to the other processes by a file that only we can read. */
export function writeWorld(file: string, world: World): void {
  writeFileSync(file, JSON.stringify(world), { mode: 0o600 });
}

export function readWorld(file: string): World {
  return JSON.parse(readFileSync(file, 'utf8')) as World;
}

async function newPlace(rest: Pick<Place, 'databaseUrl' | 'clients'>): Promise<Place> {
  const [port, mtlsPort] = [await freePort(), await freePort()];
  const origin = (of: number) => `https://localhost:${String(of)}`;
  return { port, mtlsPort, issuer: origin(port), mtlsOrigin: origin(mtlsPort), ...rest };
}

export async function freePort(): Promise<number> {
  const probe = createProbe();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

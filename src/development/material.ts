import { X509Certificate, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { randomSecret } from '../security/secrets.ts';
import {
  createCertificateAuthority,
  issueClientCertificate,
  issueServerCertificate,
} from './certificate-authority.ts';
import type { IssuedCertificate } from './certificate-authority.ts';
import type { PrivateFiles } from './private-files.ts';

/** What development creates where production demands settings. */
export interface DevelopmentMaterial {
  secrets: DevelopmentSecrets;
  authority: IssuedCertificate;
  server: IssuedCertificate;
  tpp: IssuedCertificate;
  /** Another client of the same CA: for seeing a token refused with a foreign certificate. */
  otherTpp: IssuedCertificate;
}

/** Random values, base64url. */
export interface DevelopmentSecrets {
  cookieKey: string;
  encryptionKey: string;
  digestKey: string;
  masterKey: string;
  pairwiseSalt: string;
  customerPassword: string;
  resourceServerSecret: string;
}

/** The subject of the sample TPP's certificate, as its registration names it. */
export const sampleTppSubject = 'CN=sample-tpp,O=Sample TPP Ltd,C=GB';
const otherTppSubject = 'CN=other-tpp,O=Other TPP Ltd,C=GB';

/** Names of the created files, for whoever prints or uses them. */
export const developmentFiles = {
  secrets: 'secrets.json',
  authority: 'ca.crt',
  tppCertificate: 'tpp.crt',
  tppKey: 'tpp.key',
  otherCertificate: 'other-tpp.crt',
  otherKey: 'other-tpp.key',
} as const;

/** The secrets of `files`, created when they are missing. */
export function developmentSecrets(files: PrivateFiles): DevelopmentSecrets {
  const fresh: DevelopmentSecrets = {
    cookieKey: newSecret(),
    encryptionKey: newSecret(),
    digestKey: newSecret(),
    masterKey: newSecret(),
    pairwiseSalt: newSecret(),
    customerPassword: randomSecret(16),
    resourceServerSecret: randomSecret(),
  };
  const textOf = (secrets: DevelopmentSecrets) => `${JSON.stringify(secrets, null, 2)}\n`;
  const text =
    files.read(developmentFiles.secrets) ??
    files.writeOnce(developmentFiles.secrets, textOf(fresh));
  const kept = JSON.parse(text) as Partial<DevelopmentSecrets>;
  const complete = { ...fresh, ...kept };
  // An earlier version knew fewer of them.
  if (Object.keys(complete).length > Object.keys(kept).length) {
    files.replace(developmentFiles.secrets, textOf(complete));
  }
  return complete;
}

/** What each of them begins with, so that production knows one wherever it turns up. */
const developmentMark = Buffer.from('development-only');

/** 128 random bits behind the mark: 32 bytes, as the settings want them. */
function newSecret(): string {
  return Buffer.concat([developmentMark, randomBytes(16)]).toString('base64url');
}

/** Whether `value` is a secret that development created, on this machine or another. */
export function isDevelopmentSecret(value: string): boolean {
  return Buffer.from(value, 'base64url')
    .subarray(0, developmentMark.length)
    .equals(developmentMark);
}

/** Everything in `files`, created when it is missing and renewed when a certificate ends within a day. */
export async function developmentMaterial(
  files: PrivateFiles,
  options: { hostnames: readonly [string, ...string[]]; clock: Clock },
): Promise<DevelopmentMaterial> {
  const { clock, hostnames } = options;
  const secrets = developmentSecrets(files);
  const store = { files, clock };
  const authority = await kept(store, 'ca', () => createCertificateAuthority({ clock }));
  const server = await kept(store, 'server', () =>
    issueServerCertificate(authority, { hostnames, clock }),
  );
  const client = (subject: string) => () => issueClientCertificate(authority, { subject, clock });
  const tpp = await kept(store, 'tpp', client(sampleTppSubject));
  const otherTpp = await kept(store, 'other-tpp', client(otherTppSubject));
  return { secrets, authority, server, tpp, otherTpp };
}

async function kept(
  { files, clock }: { files: PrivateFiles; clock: Clock },
  name: string,
  issue: () => Promise<IssuedCertificate>,
): Promise<IssuedCertificate> {
  const certificatePem = files.read(`${name}.crt`);
  const privateKeyPem = files.read(`${name}.key`);
  if (
    certificatePem !== undefined &&
    privateKeyPem !== undefined &&
    isFresh(certificatePem, clock)
  ) {
    return { certificatePem, privateKeyPem };
  }
  const issued = await issue();
  files.replace(`${name}.key`, issued.privateKeyPem);
  files.replace(`${name}.crt`, issued.certificatePem);
  return issued;
}

const dayMs = 86_400_000;

function isFresh(certificatePem: string, clock: Clock): boolean {
  const end = new X509Certificate(certificatePem).validToDate.getTime();
  return end - clock.now().getTime() > dayMs;
}

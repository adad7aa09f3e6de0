import type { Configuration } from './schema.ts';

/** What a process found about the material that the configuration points at. */
export interface Findings {
  /** What the signing keys lack, a sentence each. */
  keyRing: readonly string[];
  /** Signing key files that can't be used, a sentence with its remedy each. */
  unusableKeys: readonly string[];
  /** Whether a PEM was issued by the CA that development creates. */
  isDevelopmentCertificate(pem: string): boolean;
  /** Whether a value is one that development created in `keys/`. */
  isDevelopmentSecret(value: string): boolean;
}

type Rule = (configuration: Configuration, findings: Findings) => (string | false)[];

const missing = (value: unknown, variable: string, what: string) =>
  value === undefined && `${variable} is not set: ${what}`;

const plainHttp: Rule = ({ issuer, mtlsOrigin }) => [
  !issuer.startsWith('https://') && `COUNTERSIGN_ISSUER is ${issuer}: use an https origin`,
  !mtlsOrigin.startsWith('https://') &&
    `COUNTERSIGN_MTLS_ORIGIN is ${mtlsOrigin}: use an https origin`,
];

const sameOrigin: Rule = ({ issuer, mtlsOrigin }) => [
  issuer === mtlsOrigin &&
    'COUNTERSIGN_MTLS_ORIGIN is the same as COUNTERSIGN_ISSUER: give the mTLS listener its own host or port, or browsers are asked for certificates',
];

const loopback = /^https?:\/\/(?:localhost|127\.|\[::1\])/;

/** Discovery would send every certificate client to its own machine. */
const localhost: Rule = ({ issuer, mtlsOrigin }) => [
  loopback.test(issuer) && `COUNTERSIGN_ISSUER is ${issuer}: set the origin that clients use`,
  loopback.test(mtlsOrigin) &&
    `COUNTERSIGN_MTLS_ORIGIN is ${mtlsOrigin}: set the origin that clients with certificates use`,
];

const secrets: Rule = (configuration, findings) => {
  const named = [
    ['COUNTERSIGN_COOKIE_KEYS', configuration.cookieKeys],
    ['COUNTERSIGN_ENCRYPTION_KEYS', configuration.encryptionKeys],
    ['COUNTERSIGN_DIGEST_KEY', configuration.digestKey],
    ['COUNTERSIGN_PAIRWISE_SALT', configuration.pairwiseSalt],
  ] as const;
  const remedy = "set it to the output of: openssl rand -base64 32 | tr '+/' '-_' | tr -d =";
  const seen = new Map<string, string>();
  return named.flatMap(([variable, keys]) => {
    if (keys === undefined) return [`${variable} is not set: ${remedy}`];
    return keys.flatMap((key) => {
      const value = key.toString('base64url');
      const twin = seen.get(value);
      seen.set(value, variable);
      return [
        findings.isDevelopmentSecret(value) &&
          `${variable} is a secret that development created: ${remedy}`,
        twin !== undefined && `${variable} repeats a value of ${twin}: ${remedy}`,
        new Set(key).size < 8 && `${variable} is not random: ${remedy}`,
      ];
    });
  });
};

const certificates: Rule = ({ tlsCertificate, tlsPrivateKey, clientTruststore }, findings) => [
  missing(tlsCertificate, 'COUNTERSIGN_TLS_CERTIFICATE', 'give the server certificate chain'),
  missing(
    tlsPrivateKey,
    'COUNTERSIGN_TLS_PRIVATE_KEY',
    "give the server certificate's private key",
  ),
  missing(clientTruststore, 'COUNTERSIGN_CLIENT_TRUSTSTORE', 'give the CAs of your clients'),
  tlsCertificate !== undefined &&
    findings.isDevelopmentCertificate(tlsCertificate) &&
    'COUNTERSIGN_TLS_CERTIFICATE is from the CA that development created: use a certificate of a public CA',
  clientTruststore !== undefined &&
    findings.isDevelopmentCertificate(clientTruststore) &&
    'COUNTERSIGN_CLIENT_TRUSTSTORE holds the CA that development created: use the CAs of your directory',
];

const database: Rule = ({ databaseUrl, allowEmbeddedDatabase }) => [
  databaseUrl === undefined &&
    !allowEmbeddedDatabase &&
    'DATABASE_URL is not set: name your Postgres, or set COUNTERSIGN_ALLOW_EMBEDDED_DATABASE=true',
];

const signingKeys: Rule = ({ keysDirectory }, { keyRing, unusableKeys }) => [
  ...unusableKeys,
  ...keyRing.map(
    (problem) =>
      `${problem} in ${keysDirectory}/signing: run \`npm run countersign -- keys generate\` or \`… keys import\``,
  ),
];

const rules: readonly Rule[] = [
  plainHttp,
  sameOrigin,
  localhost,
  secrets,
  certificates,
  database,
  signingKeys,
];

/** What stands against opening the database in production; the commands need no more. */
export function databaseProblems(configuration: Configuration): string[] {
  return productionOnly([database], configuration, noFindings);
}

/** What stands against reading and writing stored data in production: the database, and its keys. */
export function storedDataProblems(
  configuration: Configuration,
  isDevelopmentSecret: Findings['isDevelopmentSecret'],
): string[] {
  return productionOnly([secrets, database], configuration, { ...noFindings, isDevelopmentSecret });
}

const noFindings: Findings = {
  keyRing: [],
  unusableKeys: [],
  isDevelopmentCertificate: () => false,
  isDevelopmentSecret: () => false,
};

/** Everything that makes `configuration` unsafe in production, a sentence with its remedy each; none when it is safe. */
export function productionProblems(configuration: Configuration, findings: Findings): string[] {
  return productionOnly(rules, configuration, findings);
}

function productionOnly(
  applied: readonly Rule[],
  configuration: Configuration,
  findings: Findings,
): string[] {
  if (configuration.environment !== 'production') return [];
  return applied.flatMap((rule) => rule(configuration, findings)).filter((line) => line !== false);
}

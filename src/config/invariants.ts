import type { Configuration } from './schema.ts';

/** What a process found about the material that the configuration points at. */
export interface Findings {
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
    ['COUNTERSIGN_MASTER_KEYS', configuration.masterKeys],
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
        isPatterned(key) && `${variable} is not random: ${remedy}`,
      ];
    });
  });
};

/**
 * Bytes that somebody typed or that a program counted up: few different ones, text, a repeated piece, equal steps. Of random
 * keys one in 10^13 is taken for text, and none for the others.
 */
export function isPatterned(key: Buffer): boolean {
  const isText = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  const periods = Array.from({ length: key.length / 2 }, (_, index) => index + 1);
  const repeats = periods.some((period) =>
    key.subarray(period).every((byte, index) => byte === key[index]),
  );
  const steps = new Set(
    [...key.subarray(1)].map((byte, index) => (byte - (key[index] ?? 0)) & 255),
  );
  return new Set(key).size < 8 || isText || repeats || steps.size < 4;
}

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

/** Or requests are given up of which the database would have told how they ended. */
const requestTime: Rule = ({ requestSeconds, databaseTimeoutMs }) => [
  requestSeconds * 1000 <= databaseTimeoutMs &&
    `COUNTERSIGN_REQUEST_TIME is ${String(requestSeconds)} s, and the database may take ${String(databaseTimeoutMs)} ms for one statement: set it longer than COUNTERSIGN_DATABASE_TIMEOUT_MS`,
];

/** Whoever is told to remove a key must know where it lies. */
const signingKeys: Rule = ({ keysDirectory }, { unusableKeys }) =>
  unusableKeys.map((line) => {
    const folder = `${keysDirectory}/signing`;
    return line.includes(folder) ? line : `${line} (it lies in ${folder})`;
  });

const rules: readonly Rule[] = [
  plainHttp,
  sameOrigin,
  localhost,
  secrets,
  certificates,
  database,
  requestTime,
  signingKeys,
];

/**
 * What is wrong with how proxies are told from everybody else, in development too. RFC 9700 §4.13: a
 * header that is believed from anybody gives every client away.
 */
export function proxyRuleProblems(configuration: Configuration): string[] {
  const { issuer, mtlsOrigin, proxyCertificateHeader: header } = configuration;
  const { proxyTruststore: truststore, proxyNames: names } = configuration;
  const { proxyNetworks: networks, proxySecrets: secretValues } = configuration;
  const isAuthenticated =
    (truststore !== undefined && names !== undefined) ||
    (networks !== undefined && secretValues !== undefined);
  return [
    header !== 'none' &&
      !isAuthenticated &&
      `COUNTERSIGN_PROXY_CERTIFICATE_HEADER is ${header} and nothing tells proxies from callers: set COUNTERSIGN_PROXY_TRUSTSTORE and COUNTERSIGN_PROXY_NAMES, or COUNTERSIGN_PROXY_NETWORKS and COUNTERSIGN_PROXY_SECRETS`,
    header !== 'none' &&
      issuer === mtlsOrigin &&
      'COUNTERSIGN_MTLS_ORIGIN is the same as COUNTERSIGN_ISSUER: proxies need a host or port of its own for clients with certificates',
    ...pairProblems(
      ['COUNTERSIGN_PROXY_TRUSTSTORE', truststore],
      ['COUNTERSIGN_PROXY_NAMES', names],
    ),
    ...pairProblems(
      ['COUNTERSIGN_PROXY_NETWORKS', networks],
      ['COUNTERSIGN_PROXY_SECRETS', secretValues],
    ),
  ].filter((line) => line !== false);
}

type Named = readonly [variable: string, value: unknown];

/** One half of a proof is none, and who sets one half believes to have the other. */
function pairProblems(first: Named, second: Named): string[] {
  const half = (set: Named, lacking: Named) =>
    set[1] === undefined || lacking[1] !== undefined
      ? []
      : [`${lacking[0]} is not set, without which ${set[0]} proves nothing: set both or none`];
  return [...half(first, second), ...half(second, first)];
}

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

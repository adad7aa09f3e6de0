import { bounds } from '../bounds.ts';
import type { Configuration } from '../config/schema.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { createLocalSigner } from '../signing-keys/signers/local-signer.ts';
import { bindingProblem } from '../signing-keys/signers/pkcs11-binding.ts';
import { createPkcs11Signer } from '../signing-keys/signers/pkcs11-signer.ts';
import { createRemoteSigner } from '../signing-keys/signers/remote-signer.ts';
import { generateMs } from '../signing-keys/signers/signer.ts';
import { createSigners } from '../signing-keys/signers/signers.ts';
import type { Signers } from '../signing-keys/signers/signers.ts';

interface Surroundings {
  metrics: Pick<Metrics, 'signatureSeconds' | 'signatureFailures'>;
  /** The key service's access token as its file has it now. */
  rereadToken?: (() => string | undefined) | undefined;
}

/** Between two readings of the key service's token while it is refused: each reads the whole configuration. */
const rereadMs = 1000;

/** Signatures wait no longer than a client does. */
const maxWaiting = 500;

/** What signs with the keys of this installation; nothing is opened before it is used. */
export function signersOf(
  configuration: Configuration,
  { metrics, rereadToken }: Surroundings,
): Signers {
  const { signerConcurrency: concurrency, signerTimeoutMs: timeoutMs } = configuration;
  const pkcs11 = pkcs11Signer(configuration);
  const remote = remoteSigner(configuration, rereadToken);
  return createSigners({
    signers: {
      sealed: createLocalSigner(),
      ...(pkcs11 === undefined ? {} : { pkcs11 }),
      ...(remote === undefined ? {} : { remote }),
    },
    chosen: configuration.keySigner,
    limits: { concurrency, maxWaiting, timeoutMs },
    metrics,
  });
}

function pkcs11Signer(configuration: Configuration) {
  const { pkcs11Library: library, pkcs11Token: token, pkcs11Pin: pin } = configuration;
  if (library === undefined || token === undefined || pin === undefined) return undefined;
  return createPkcs11Signer({ library, token, pin, timeoutMs: configuration.signerTimeoutMs });
}

function remoteSigner(configuration: Configuration, rereadToken: Surroundings['rereadToken']) {
  const { signerUrl: url, signerToken, signerKeyPrefix: keyPrefix } = configuration;
  const { signerCertificate, signerPrivateKey } = configuration;
  if (url === undefined || signerToken === undefined) return undefined;
  let token = signerToken;
  let readAt = -Infinity;
  const send = createOutboundFetch({
    allowedHosts: [new URL(url).host],
    truststorePem: configuration.signerTruststore,
    timeoutMs: generateMs,
    maxBodyBytes: bounds.answers.maxBytes,
    keptConnections: configuration.signerConcurrency,
    ...(signerCertificate === undefined || signerPrivateKey === undefined
      ? {}
      : {
          clientCertificate: { certificatePem: signerCertificate, privateKeyPem: signerPrivateKey },
        }),
  });
  return createRemoteSigner({
    ...{ url, keyPrefix, send, timeoutMs: configuration.signerTimeoutMs },
    token: () => token,
    renewToken() {
      if (performance.now() - readAt < rereadMs) return token;
      readAt = performance.now();
      return (token = rereadToken?.() ?? token);
    },
  });
}

/** Why the signers can't be used as configured, a sentence with its remedy each. */
export function signerProblems(configuration: Configuration): string[] {
  const { environment, keySigner, signerToken, pkcs11Pin } = configuration;
  const isProduction = environment === 'production';
  return [
    ...together(keySigner === 'pkcs11', [
      ['COUNTERSIGN_PKCS11_LIBRARY', configuration.pkcs11Library],
      ['COUNTERSIGN_PKCS11_TOKEN', configuration.pkcs11Token],
      ['COUNTERSIGN_PKCS11_PIN', pkcs11Pin],
    ]),
    ...(configuration.pkcs11Library === undefined ? [] : bindingProblems()),
    ...together(keySigner === 'remote', [
      ['COUNTERSIGN_SIGNER_URL', configuration.signerUrl],
      ['COUNTERSIGN_SIGNER_TOKEN', signerToken],
    ]),
    ...together(false, [
      ['COUNTERSIGN_SIGNER_CERTIFICATE', configuration.signerCertificate],
      ['COUNTERSIGN_SIGNER_PRIVATE_KEY', configuration.signerPrivateKey],
    ]),
    ...(isProduction ? sharedSecrets(configuration) : []),
    ...(isProduction && pkcs11Pin !== undefined && isGuessable(pkcs11Pin, 8)
      ? ['COUNTERSIGN_PKCS11_PIN is short or easily guessed: set 8 random characters or more']
      : []),
    ...(isProduction && signerToken !== undefined && isGuessable(signerToken, 16)
      ? ['COUNTERSIGN_SIGNER_TOKEN is short or easily guessed: have the key service issue one']
      : []),
  ];
}

function bindingProblems(): string[] {
  const problem = bindingProblem();
  return problem === undefined ? [] : [`COUNTERSIGN_PKCS11_LIBRARY can't be used: ${problem}`];
}

/** A secret that several things open by can't be replaced for one of them, nor kept by one of them. */
function sharedSecrets(configuration: Configuration): string[] {
  const known = [
    ...[configuration.cookieKeys, configuration.encryptionKeys, configuration.digestKey],
    ...[configuration.masterKeys, configuration.pairwiseSalt],
  ].flatMap((keys) => keys?.map((key) => key.toString('base64url')) ?? []);
  const others = [
    ['COUNTERSIGN_PKCS11_PIN', configuration.pkcs11Pin],
    ['COUNTERSIGN_SIGNER_TOKEN', configuration.signerToken],
    ...(configuration.proxySecrets ?? []).map(
      (secret) => ['COUNTERSIGN_PROXY_SECRETS', secret] as const,
    ),
  ] as const;
  return others.flatMap(([variable, value]) => {
    if (value === undefined) return [];
    const isRepeated = known.includes(value);
    known.push(value);
    return isRepeated ? [`${variable} repeats another secret: set one of its own`] : [];
  });
}

type Named = readonly [variable: string, value: unknown];

/** All of these settings or, where nobody needs them, none. */
function together(isNeeded: boolean, named: readonly Named[]): string[] {
  const set = named.filter(([, value]) => value !== undefined).map(([variable]) => variable);
  if (set.length === named.length || (set.length === 0 && !isNeeded)) return [];
  const needing = set.length > 0 ? set.join(', ') : 'COUNTERSIGN_KEY_SIGNER';
  return named
    .filter(([, value]) => value === undefined)
    .map(([variable]) => `${variable} is not set, which ${needing} needs: set it`);
}

const steps = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Too short, a row of the keyboard or the alphabet, or hardly any different characters. */
function isGuessable(secret: string, atLeast: number): boolean {
  const lower = secret.toLowerCase();
  const isRow = Array.from(lower).every(
    (character, index) => index === 0 || steps.includes(`${lower.charAt(index - 1)}${character}`),
  );
  return secret.length < atLeast || isRow || new Set(lower).size < 4;
}

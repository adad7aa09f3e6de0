import path from 'node:path';
import type { AppSettings } from '../assembly/settings.ts';
import { bounds } from '../bounds.ts';
import type { Configuration } from '../config/schema.ts';
import { sampleResource } from '../development/sample-data.ts';
import { apiKeySettings } from './api-key-settings.ts';
import { edgeSettings } from './edge-settings.ts';
import { geoipSettings } from './geoip-settings.ts';
import type { Material } from './material.ts';
import { rateLimitSettings } from './rate-limit-settings.ts';
import { registrationSettings } from './registration-settings.ts';

const viewsDirectory = path.resolve(import.meta.dirname, '../../views');

/** Two years, as browsers' preload lists want it. */
const hstsSeconds = 63_072_000;

/** The configuration in the app's words. */
export function appSettings(configuration: Configuration, material: Material): AppSettings {
  return {
    issuer: configuration.issuer,
    mtlsOrigin: configuration.mtlsOrigin,
    cookieKeys: material.cookieKeys,
    encryptionKeys: material.encryptionKeys,
    digestKey: material.digestKey,
    olderDigestKeys: material.olderDigestKeys ?? [],
    pairwiseSalt: material.pairwiseSalt,
    defaultResource: configuration.defaultResource,
    consents: {
      resource: consentsResource(configuration),
      required: configuration.consentsRequired,
      accounts: accountsFrom(configuration),
    },
    apiKeys: apiKeySettings(configuration, consentsResource(configuration)),
    events: {
      timeoutMs: configuration.eventTimeoutMs,
      longestRetryMs: configuration.eventLongestRetrySeconds * 1000,
      maxAgeMs: configuration.eventMaxAgeSeconds * 1000,
      pollWaitMs: pollWaitMs(configuration),
    },
    grantActionRequired: configuration.grantActionRequired,
    account: {
      idleSeconds: configuration.accountIdleSeconds,
      recentSeconds: configuration.accountRecentSeconds,
    },
    rateLimits: rateLimitSettings(configuration),
    edge: edgeSettings(configuration),
    registration: registrationSettings(configuration, material.directories),
    clientTruststore: material.clientTruststore,
    proxies: proxiesOf(configuration),
    keyReaderAddresses: configuration.keyReaderAddresses ?? [],
    minimumProfile: configuration.minimumProfile,
    dpopNonceRequired: configuration.dpopNonceRequired,
    refreshRetry: {
      seconds: configuration.refreshRetrySeconds,
      unproven: configuration.refreshRetryUnproven,
    },
    lifetimes: lifetimesOf(configuration),
    passwordHash: passwordHashOf(configuration),
    locate: geoipSettings(configuration),
    brand: brandOf(configuration),
    outbound: outboundLimits(configuration),
    requestTimeMs: configuration.requestSeconds * 1000,
    viewsDirectory,
    // On localhost it would follow the developer into every other project.
    hstsMaxAgeSeconds: configuration.environment === 'production' ? hstsSeconds : 0,
  };
}

function lifetimesOf(configuration: Configuration): AppSettings['lifetimes'] {
  return {
    authorizationCode: configuration.authorizationCodeTtlSeconds,
    accessToken: configuration.accessTokenTtlSeconds,
    refreshToken: configuration.refreshTokenTtlSeconds,
    session: configuration.sessionTtlSeconds,
    interaction: configuration.interactionTtlSeconds,
  };
}

function passwordHashOf(configuration: Configuration): AppSettings['passwordHash'] {
  return {
    memoryKib: configuration.argon2MemoryKib,
    passes: configuration.argon2Passes,
    parallelism: configuration.argon2Parallelism,
    concurrency: configuration.passwordHashConcurrency,
    maxWaiting: configuration.passwordHashQueue,
  };
}

function brandOf(configuration: Configuration): AppSettings['brand'] {
  const { brandLogoFile: logoFile, brandThemeFile: themeFile } = configuration;
  return {
    name: configuration.brandName,
    helpUrl: configuration.brandHelpUrl,
    ...(logoFile === undefined ? {} : { logoFile }),
    ...(themeFile === undefined ? {} : { themeFile }),
  };
}

function accountsFrom(configuration: Configuration): AppSettings['consents']['accounts'] {
  const { accountsUrl: url, accountsCertificate, accountsPrivateKey } = configuration;
  return {
    url,
    timeoutMs: configuration.accountsTimeoutMs,
    madeUp: url === undefined && configuration.environment !== 'production',
    clientCertificate:
      accountsCertificate === undefined || accountsPrivateKey === undefined
        ? undefined
        : { certificatePem: accountsCertificate, privateKeyPem: accountsPrivateKey },
  };
}

/** In development the sandbox's third parties have tokens for the sample API. */
function consentsResource(configuration: Configuration): string | undefined {
  const { environment, defaultResource } = configuration;
  const sample = environment === 'development' ? sampleResource : undefined;
  return configuration.consentsResource ?? defaultResource ?? sample;
}

function proxiesOf(configuration: Configuration): AppSettings['proxies'] {
  return {
    certificateHeader: configuration.proxyCertificateHeader,
    addressHeader: configuration.proxyAddressHeader,
    hops: configuration.proxyHops,
    truststore: configuration.proxyTruststore,
    names: configuration.proxyNames ?? [],
    networks: configuration.proxyNetworks ?? [],
    secrets: configuration.proxySecrets ?? [],
  };
}

/** A poll must find nothing before the request is given up. */
function pollWaitMs({ eventPollWaitSeconds, requestSeconds }: Configuration): number {
  return Math.min(eventPollWaitSeconds * 1000, Math.floor((requestSeconds * 2000) / 3));
}

/** What requests to other people's servers may do. */
export function outboundLimits(configuration: Configuration): AppSettings['outbound'] {
  return {
    allowedHosts: configuration.outboundAllow,
    truststorePem: configuration.outboundTruststore,
    timeoutMs: configuration.outboundTimeoutMs,
    maxBodyBytes: bounds.answers.maxBytes,
  };
}

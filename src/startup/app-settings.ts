import path from 'node:path';
import type { AppSettings } from '../app.ts';
import type { Configuration } from '../config/schema.ts';
import type { Material } from './material.ts';

const viewsDirectory = path.resolve(import.meta.dirname, '../../views');

/** Two years, as browsers' preload lists want it. */
const hstsSeconds = 63_072_000;

/** The configuration in the app's words. */
export function appSettings(configuration: Configuration, material: Material): AppSettings {
  const { brandLogoFile, brandThemeFile } = configuration;
  return {
    issuer: configuration.issuer,
    mtlsOrigin: configuration.mtlsOrigin,
    signingKeys: material.signingKeys,
    cookieKeys: material.cookieKeys,
    encryptionKeys: material.encryptionKeys,
    digestKey: material.digestKey,
    pairwiseSalt: material.pairwiseSalt,
    defaultResource: configuration.defaultResource,
    refreshRetry: {
      seconds: configuration.refreshRetrySeconds,
      unproven: configuration.refreshRetryUnproven,
    },
    lifetimes: {
      authorizationCode: configuration.authorizationCodeTtlSeconds,
      accessToken: configuration.accessTokenTtlSeconds,
      refreshToken: configuration.refreshTokenTtlSeconds,
      session: configuration.sessionTtlSeconds,
      interaction: configuration.interactionTtlSeconds,
    },
    passwordHash: {
      memoryKib: configuration.argon2MemoryKib,
      passes: configuration.argon2Passes,
      parallelism: configuration.argon2Parallelism,
      concurrency: configuration.passwordHashConcurrency,
      maxWaiting: configuration.passwordHashQueue,
    },
    brand: {
      name: configuration.brandName,
      helpUrl: configuration.brandHelpUrl,
      ...(brandLogoFile === undefined ? {} : { logoFile: brandLogoFile }),
      ...(brandThemeFile === undefined ? {} : { themeFile: brandThemeFile }),
    },
    outbound: {
      allowedHosts: configuration.outboundAllow,
      truststorePem: configuration.outboundTruststore,
      timeoutMs: configuration.outboundTimeoutMs,
      // 100 keys with their certificate chains stay below it.
      maxBodyBytes: 262_144,
    },
    viewsDirectory,
    // On localhost it would follow the developer into every other project.
    hstsMaxAgeSeconds: configuration.environment === 'production' ? hstsSeconds : 0,
  };
}

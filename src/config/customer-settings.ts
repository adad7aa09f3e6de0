import { z } from 'zod';
import { optionalText, setting, whole } from './setting.ts';

/** What customers meet: sessions, passwords and the looks of the pages. */
export const customerSettings = {
  sessionTtlSeconds: setting({
    variable: 'COUNTERSIGN_SESSION_TTL',
    type: whole(60, 604_800),
    fallback: '3600',
    unit: 's',
    sentence: 'How long a customer stays signed in.',
  }),
  interactionTtlSeconds: setting({
    variable: 'COUNTERSIGN_INTERACTION_TTL',
    type: whole(60, 3600),
    fallback: '900',
    unit: 's',
    sentence: 'How long a customer may take over the login and consent pages.',
  }),
  argon2MemoryKib: setting({
    variable: 'COUNTERSIGN_ARGON2_MEMORY',
    type: whole(7168, 1_048_576),
    fallback: '19456',
    unit: 'KiB',
    sentence: 'Memory of one argon2id password hash (OWASP: 19 MiB with two passes).',
  }),
  argon2Passes: setting({
    variable: 'COUNTERSIGN_ARGON2_PASSES',
    type: whole(1, 20),
    fallback: '2',
    sentence: 'Passes of one argon2id password hash.',
  }),
  argon2Parallelism: setting({
    variable: 'COUNTERSIGN_ARGON2_PARALLELISM',
    type: whole(1, 16),
    fallback: '1',
    sentence: 'Lanes of one argon2id password hash.',
  }),
  passwordHashConcurrency: setting({
    variable: 'COUNTERSIGN_PASSWORD_HASH_CONCURRENCY',
    type: whole(1, 64),
    fallback: '2',
    sentence: 'How many passwords are hashed at once, so that logins never starve tokens.',
  }),
  passwordHashQueue: setting({
    variable: 'COUNTERSIGN_PASSWORD_HASH_QUEUE',
    type: whole(1, 10_000),
    fallback: '100',
    sentence: 'How many logins may wait for their turn before the server asks to come back later.',
  }),
  geoipDatabaseFile: setting({
    variable: 'COUNTERSIGN_GEOIP_DATABASE_FILE',
    type: optionalText,
    sentence:
      "Path of a database of cities in MaxMind's format (`.mmdb`); with it logins from places that nobody reaches so soon are noticed (docs/rate-limits.md).",
  }),
  brandName: setting({
    variable: 'COUNTERSIGN_BRAND_NAME',
    type: z.string().min(1, 'must not be empty').max(60),
    fallback: 'Countersign Bank',
    sentence: "The bank's name on the hosted pages.",
  }),
  brandLogoFile: setting({
    variable: 'COUNTERSIGN_BRAND_LOGO',
    type: optionalText,
    sentence: "Path of the bank's logo (svg or png) for the hosted pages.",
  }),
  brandThemeFile: setting({
    variable: 'COUNTERSIGN_BRAND_THEME',
    type: optionalText,
    sentence: 'Path of a small CSS file that sets the variables of views/assets/theme-example.css.',
  }),
  brandHelpUrl: setting({
    variable: 'COUNTERSIGN_BRAND_HELP_URL',
    type: z.url({ protocol: /^https$/ }).optional(),
    sentence: 'Where the help link of the hosted pages leads.',
  }),
} as const;

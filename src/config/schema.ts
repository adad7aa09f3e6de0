import { apiKeySettings } from './api-key-settings.ts';
import { accountSettings } from './account-settings.ts';
import { boundSettings } from './bound-settings.ts';
import { consentSettings } from './consent-settings.ts';
import { grantSettings } from './grant-settings.ts';
import { customerSettings } from './customer-settings.ts';
import { edgeSettings } from './edge-settings.ts';
import { eventSettings } from './event-settings.ts';
import { keySettings } from './key-settings.ts';
import { networkSettings } from './network-settings.ts';
import { protocolSettings } from './protocol-settings.ts';
import { proxySettings } from './proxy-settings.ts';
import { rateLimitSettings } from './rate-limit-settings.ts';
import { registrationSettings } from './registration-settings.ts';
import { revocationSettings } from './revocation-settings.ts';
import type { Setting } from './setting.ts';
import { signerSettings } from './signer-settings.ts';
import { storageSettings } from './storage-settings.ts';
import { tokenSettings } from './token-settings.ts';

/** Every setting of the server. The README's table is made from this. */
export const settings = {
  ...networkSettings,
  ...boundSettings,
  ...storageSettings,
  ...tokenSettings,
  ...keySettings,
  ...signerSettings,
  ...customerSettings,
  ...protocolSettings,
  ...consentSettings,
  ...accountSettings,
  ...grantSettings,
  ...eventSettings,
  ...apiKeySettings,
  ...edgeSettings,
  ...rateLimitSettings,
  ...registrationSettings,
  ...revocationSettings,
  ...proxySettings,
} as const;

type Settings = typeof settings;

/** The configuration: a frozen value with one member a setting. */
export type Configuration = Readonly<{
  [K in keyof Settings]: Settings[K] extends Setting<infer T> ? T : never;
}>;

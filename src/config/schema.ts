import { customerSettings } from './customer-settings.ts';
import { networkSettings } from './network-settings.ts';
import type { Setting } from './setting.ts';
import { storageSettings } from './storage-settings.ts';
import { tokenSettings } from './token-settings.ts';

/** Every setting of the server. The README's table is made from this. */
export const settings = {
  ...networkSettings,
  ...storageSettings,
  ...tokenSettings,
  ...customerSettings,
} as const;

type Settings = typeof settings;

/** The configuration: a frozen value with one member a setting. */
export type Configuration = Readonly<{
  [K in keyof Settings]: Settings[K] extends Setting<infer T> ? T : never;
}>;

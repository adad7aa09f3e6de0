import type { Configuration } from 'oidc-provider';
import type { Share } from './ports.ts';

/**
 * One configuration out of each concern's share. Only `features` is merged by member; two shares that set the same
 * thing are a mistake, and said so, because oidc-provider would silently take one of them.
 */
export function mergeShares(shares: readonly Share[]): Configuration {
  const merged: Record<string, unknown> = {};
  const features: Record<string, unknown> = {};
  for (const { features: own, ...rest } of shares) {
    addAll(merged, rest);
    addAll(features, own ?? {});
  }
  return { ...merged, features };
}

function addAll(target: Record<string, unknown>, source: object): void {
  for (const [name, value] of Object.entries(source)) {
    if (name in target) throw new Error(`two shares of the configuration set ${name}`);
    target[name] = value;
  }
}

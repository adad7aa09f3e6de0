import { fileURLToPath } from 'node:url';

/** A program that tools/interop/fetch-proxies.sh has put there. */
export const fetched = (name: 'envoy' | 'traefik'): string =>
  fileURLToPath(new URL(`../../../node_modules/.interop/${name}`, import.meta.url));

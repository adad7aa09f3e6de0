import { isIP } from 'node:net';
import { ipAddressBytes } from '../ip-address.ts';
import type { HeaderLines } from './forwarded-certificate.ts';

/** The header by which proxies tell where a request came from. */
export const addressHeaderKinds = ['none', 'x-forwarded-for', 'forwarded'] as const;

/** One of {@link addressHeaderKinds}. */
export type AddressHeaderKind = (typeof addressHeaderKinds)[number];

/** A request has passed 5 proxies at most; what is in front of them may add as much as fits. */
const maxEntries = 50;

/**
 * The caller's address as `hops` proxies tell it, each of which appended where its request came
 * from: the entry that many places from the end. What stands before it the caller may have written.
 * Undefined when there are fewer entries, or that one is no address.
 */
export function forwardedAddress(
  kind: AddressHeaderKind,
  lines: HeaderLines,
  hops: number,
): string | undefined {
  if (kind === 'none') return undefined;
  const entries = (lines.get(kind) ?? []).join(',').split(',');
  if (entries.length > maxEntries) return undefined;
  const entry = entries.at(-hops)?.trim();
  if (entry === undefined) return undefined;
  const text = kind === 'forwarded' ? forParameter(entry) : entry;
  return text === undefined ? undefined : addressOf(text);
}

/** RFC 7239 §4: `for=192.0.2.60` or `for="[2001:db8::17]:4711"`; quoted values hold no comma or semicolon. */
function forParameter(element: string): string | undefined {
  const values = element
    .split(';')
    .map((pair) => /^\s*for=(?:"([^"\\]*)"|([^\s"]+))\s*$/i.exec(pair))
    .filter((match) => match !== null);
  const [first, second] = values;
  return second === undefined ? (first?.[1] ?? first?.[2]) : undefined;
}

/** Without the port that some proxies add, and IPv4 as such. */
function addressOf(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? withoutPort(text);
  if (isIP(bare) === 0 || bare.includes('%')) return undefined;
  return mappedIpv4(bare) ?? bare.toLowerCase();
}

/** The IPv4 address that an IPv6 address stands for (RFC 4291 §2.5.5.2), in whatever spelling. */
function mappedIpv4(address: string): string | undefined {
  if (!address.includes(':')) return undefined;
  const [, hex] = /^0{20}f{4}([\da-f]{8})$/.exec(ipAddressBytes(address) ?? '') ?? [];
  return hex === undefined ? undefined : Buffer.from(hex, 'hex').join('.');
}

function withoutPort(text: string): string {
  return text.replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, '$1');
}

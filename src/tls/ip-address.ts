import { isIPv4, isIPv6 } from 'node:net';

/**
 * The 4 or 16 bytes of an address as a certificate holds them (RFC 5280 §4.2.1.6), in lower-case
 * hex; undefined when the text is no address or names a zone. All forms of one IPv6 address give
 * the same bytes; an IPv4 address and its IPv6-mapped form do not.
 */
export function ipAddressBytes(text: string): string | undefined {
  if (isIPv4(text)) return bytesToHex(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const [head = '', tail] = withoutDottedPart(text).split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0000');
  return [...left, ...zeros, ...right].join('');
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':').map((group) => group.toLowerCase().padStart(4, '0'));
}

function withoutDottedPart(text: string): string {
  return text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_whole, ...parts: (string | number)[]) => {
    const hex = bytesToHex(parts.slice(0, 4).map(Number));
    return `${hex.slice(0, 4)}:${hex.slice(4)}`;
  });
}

function bytesToHex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString('hex');
}

const mapped = /^::ffff:(?=\d+\.)/i;

/**
 * The network that an address counts for: an IPv6 customer holds a whole /64. An IPv4 address is itself in each of its
 * spellings (`::ffff:192.0.2.1`, `::ffff:c000:201`; RFC 4291 §2.5.5.2), or whoever chooses one would be counted anew.
 */
export function networkOf(address: string): string {
  const plain = address.replace(mapped, '');
  if (!plain.includes(':')) return plain;
  const groups = groupsOf(plain.replace(/%.*$/, ''));
  return ipv4In(groups) ?? `${groups.slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = withoutDottedPart(address).toLowerCase().split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail?.split(':').filter(Boolean) ?? [];
  const missing = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const zeros = Array.from({ length: missing }, () => '0');
  return [...left, ...zeros, ...right].map((group) => group.replace(/^0+(?=.)/, ''));
}

function withoutDottedPart(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_whole, ...parts: (string | number)[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
}

function ipv4In(groups: readonly string[]): string | undefined {
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return undefined;
  const bytes = groups.slice(6).flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  return bytes.join('.');
}

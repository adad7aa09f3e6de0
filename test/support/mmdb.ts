/** What a database may hold. */
export type MmdbValue = string | number | Uint16 | readonly string[] | MmdbMap;

/** A map of a database. */
export interface MmdbMap {
  readonly [key: string]: MmdbValue;
}

/** A whole number; other numbers are doubles. */
export interface Uint16 {
  uint16: number;
}

/** A network such as `192.0.2.0/24`, and what is known of it. */
export type MmdbNetwork = readonly [network: string, value: MmdbMap];

/** What a test may vary. */
export interface MmdbOptions {
  type?: string;
  ipVersion?: 4 | 6;
}

type Link = { node: number } | { data: number } | undefined;
type Node = [left: Link, right: Link];

/** A file in MaxMind's format for these networks ("MaxMind DB File Format Specification", 2.0; records of 24 bits). */
export function mmdbFile(
  networks: readonly MmdbNetwork[],
  { type = 'Test-City', ipVersion = 6 }: MmdbOptions = {},
): Buffer {
  const nodes: Node[] = [[undefined, undefined]];
  const data: Buffer[] = [];
  for (const [network, value] of networks) {
    insert(nodes, bitsOf(network, ipVersion), { data: lengthOf(data) });
    data.push(encoded(value));
  }
  const tree = nodes.flat().map((link) => record(link, nodes.length));
  const metadata = encoded({
    binary_format_major_version: uint(2),
    binary_format_minor_version: uint(0),
    build_epoch: uint(0),
    database_type: type,
    description: { en: 'Places of a test' },
    ip_version: uint(ipVersion),
    languages: ['en'],
    node_count: uint(nodes.length),
    record_size: uint(24),
  });
  const separator = Buffer.alloc(16);
  return Buffer.concat([...tree, separator, ...data, metadataMark, metadata]);
}

const metadataMark = Buffer.concat([Buffer.from('abcdef', 'hex'), Buffer.from('MaxMind.com')]);

const uint = (uint16: number): Uint16 => ({ uint16 });

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** IPv4 lies in `::/96` of a database for both. */
function bitsOf(network: string, ipVersion: 4 | 6): string {
  const [address = '', prefix = ''] = network.split('/');
  const isIpv4 = !address.includes(':');
  const bits = isIpv4 ? ipv4Bits(address) : ipv6Bits(address);
  const before = isIpv4 && ipVersion === 6 ? '0'.repeat(96) : '';
  return before + bits.slice(0, Number(prefix));
}

function ipv4Bits(address: string): string {
  return address
    .split('.')
    .map((part) => binary(Number(part), 8))
    .join('');
}

function ipv6Bits(address: string): string {
  const [left = [], right = []] = address
    .split('::')
    .map((half) => half.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right]
    .map((part) => binary(Number.parseInt(part, 16), 16))
    .join('');
}

function binary(value: number, digits: number): string {
  return value.toString(2).padStart(digits, '0');
}

function insert(nodes: Node[], bits: string, leaf: Link): void {
  let at = 0;
  for (const bit of bits.slice(0, -1)) {
    const side = bit === '1' ? 1 : 0;
    const node = nodeAt(nodes, at);
    const next = node[side];
    if (next !== undefined && 'node' in next) at = next.node;
    else {
      at = nodes.push([undefined, undefined]) - 1;
      node[side] = { node: at };
    }
  }
  nodeAt(nodes, at)[bits.endsWith('1') ? 1 : 0] = leaf;
}

function nodeAt(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new Error('no such node');
  return node;
}

/** The number of nodes stands for nothing; what is greater points into the data, behind the 16 bytes before them. */
function record(link: Link, count: number): Buffer {
  const bytes = Buffer.alloc(3);
  const value = link === undefined ? count : 'node' in link ? link.node : link.data + count + 16;
  bytes.writeUIntBE(value, 0, 3);
  return bytes;
}

/** Types by their numbers in the specification; those above 7 take a byte of their own. */
const types = { string: 2, double: 3, uint16: 5, map: 7, array: 11 } as const;

function encoded(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return Buffer.concat([control(types.string, text.length), text]);
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(types.double, 8), bytes]);
  }
  if (isList(value)) return list(types.array, value.length, value);
  if (isUint16(value)) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(value.uint16);
    return Buffer.concat([control(types.uint16, 2), bytes]);
  }
  const entries = Object.entries(value);
  return list(types.map, entries.length, entries.flat());
}

function list(type: number, length: number, values: readonly MmdbValue[]): Buffer {
  return Buffer.concat([control(type, length), ...values.map(encoded)]);
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}

function isUint16(value: Uint16 | MmdbMap): value is Uint16 {
  return typeof value['uint16'] === 'number';
}

/** Sizes up to 284: as much as a test has. */
function control(type: number, size: number): Buffer {
  const isExtended = type > 7;
  const first = (isExtended ? 0 : type << 5) | Math.min(size, 29);
  return Buffer.from([
    first,
    ...(isExtended ? [type - 7] : []),
    ...(size >= 29 ? [size - 29] : []),
  ]);
}

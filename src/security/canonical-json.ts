/**
 * JSON with one way to be written (RFC 8785): members in the order of their UTF-16 code units, no white space; undefined
 * members are left out. TypeError for what JSON has no word for.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) return ofObject(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('no JSON number');
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`${typeof value} is no JSON`);
  return text;
}

function ofObject(value: object): string {
  if (value instanceof Date) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

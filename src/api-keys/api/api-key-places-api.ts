/** Where the API is. */
export const apiPath = '/api-keys/v1';

/** The scope of tokens that manage keys. */
export const managingScope = 'api-keys';

/** What a path stands for. */
export type KeyPlace =
  { name: 'verify' } | { name: 'keys' } | { name: 'key' | 'rotate' | 'usage'; id: string };

const keyPath = /^\/keys\/([\da-f-]{36})(?:\/(rotate|usage))?$/;

/** What is at `path`, letter by letter; "none" below the API where there is nothing, undefined elsewhere. */
export function findPlace(path: string): KeyPlace | 'none' | undefined {
  if (!path.startsWith(`${apiPath}/`)) return undefined;
  const rest = path.slice(apiPath.length);
  if (rest === '/verify') return { name: 'verify' };
  if (rest === '/keys') return { name: 'keys' };
  const [, id, name = 'key'] = keyPath.exec(rest) ?? [];
  return id === undefined ? 'none' : { name: name as 'key' | 'rotate' | 'usage', id };
}

import type { ConsentCollection, ConsentDialect } from './consent-dialect-api.ts';
import { plainDialect, plainPath } from './consent-plain-api.ts';
import { ukDialect } from './consent-uk-api.ts';

/** The APIs that there are. */
export const dialects: readonly ConsentDialect[] = [ukDialect, plainDialect];

/** What a path stands for. */
export interface ConsentPlace {
  dialect: ConsentDialect;
  collection: ConsentCollection;
  /** The collection's path as it was called. */
  path: string;
  /** Undefined for the collection itself. */
  id: string | undefined;
  /** What a resource server asks for; undefined for what clients do. */
  asked: 'status' | 'consumption' | undefined;
}

const collections = dialects.flatMap((dialect) =>
  dialect.collections.flatMap((collection) =>
    collection.paths.map((path) => ({ dialect, collection, path })),
  ),
);

const suffixes = { status: '/status', consumption: '/consumption' } as const;

/** What is at `path`, letter by letter; undefined for paths that are none of ours. */
export function findPlace(path: string): ConsentPlace | undefined {
  const found = collections.find((one) => path === one.path || path.startsWith(`${one.path}/`));
  if (found === undefined) return undefined;
  if (path === found.path) return { ...found, id: undefined, asked: undefined };
  const rest = path.slice(found.path.length + 1);
  const asked = found.path === plainPath ? askedIn(rest) : undefined;
  const segment = asked === undefined ? rest : rest.slice(0, -suffixes[asked].length);
  if (segment === '' || segment.includes('/')) return undefined;
  return { ...found, id: decoded(segment), asked };
}

function askedIn(rest: string): ConsentPlace['asked'] {
  return (['status', 'consumption'] as const).find((asked) => rest.endsWith(suffixes[asked]));
}

/** What is not well encoded stands for itself: an id that nobody has. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

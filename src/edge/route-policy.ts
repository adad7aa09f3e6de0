/** What proves a caller. */
export type CredentialKind = 'token' | 'api-key';

/** What a route asks for. */
export interface EdgeRoute {
  /** Literal segments, `*` for any one, and `**` at the end for any number of further ones. */
  path: string;
  methods: readonly string[];
  /** Identifier of the resource server that tokens and keys must be for. */
  resourceServer: string;
  /** Each is needed. */
  scopes: readonly string[];
  credentials: readonly CredentialKind[];
  unboundTokens: 'refuse' | 'accept';
  /** One of them is needed (RFC 9470). */
  acr: readonly string[] | undefined;
  maxAgeSeconds: number | undefined;
}

/** Which requests pass the edge; all others do not. */
export interface EdgePolicy {
  /** How the proxy tells of the original request. */
  proxy: 'nginx' | 'traefik' | 'envoy';
  /** Where callers reach it: for DPoP proofs. */
  origins: readonly string[];
  /** The first that fits decides. */
  routes: readonly EdgeRoute[];
}

/** The route of a request, or why there is none. */
export type RouteReading = { route: EdgeRoute } | { fault: string };

/** Finds routes by method and canonical path. */
export type FindRoute = (method: string, path: string) => RouteReading;

/**
 * Compares paths letter by letter. One that fits a route in other letters, with a slash or dot too many, or by another
 * method, gets none at all: a server behind that does not mind would otherwise be reached by the rule of a wider route
 * further down.
 */
export function createRouteFinder({ routes }: Pick<EdgePolicy, 'routes'>): FindRoute {
  const compiled = routes.map((route) => ({
    route,
    // Who answers GET answers HEAD (RFC 9110 §9.3.2).
    methods: new Set(route.methods.flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]))),
    segments: segmentsOf(route.path),
    folded: foldedSegmentsOf(route.path),
  }));

  return function findRoute(method, path) {
    const exact = segmentsOf(path);
    const folded = foldedSegmentsOf(path.replace(/\/$/, ''));
    const first = compiled.find((one) => fits(one.folded, folded));
    const found = compiled.find(
      ({ route, methods }) => route.path === first?.route.path && methods.has(method),
    );
    if (found === undefined) return { fault: 'no route is for this method and path' };
    if (fits(found.segments, exact)) return { route: found.route };
    return { fault: 'the path differs from its route by letters or a slash' };
  };
}

/** Windows leaves out dots and blanks at the end of a name, and what follows `::$`; who trims, all that is blank at both ends. */
// Looked for from where a run of them begins, or a long one would cost milliseconds.
const ignored = /^\s+|(?:::\$.*|(?<![.\s])[.\s]+)$/g;

/** What is left of İ in small letters. */
const combiningDot = /\u0307/g;

/** What servers take for the same: without regard to case, compatible letters and ends that some leave out. */
function foldedSegmentsOf(path: string): string[] {
  return segmentsOf(path).map((segment) =>
    decodeURIComponent(segment)
      .normalize('NFKC')
      .toLowerCase() // a letter may have a capital of two, and these a small letter again
      .toUpperCase()
      .toLowerCase()
      .replaceAll(combiningDot, '')
      .replaceAll(ignored, ''),
  );
}

/** `/` has none. */
function segmentsOf(path: string): string[] {
  return path === '/' || path === '' ? [] : path.slice(1).split('/');
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  const isOpen = pattern.at(-1) === '**';
  const fixed = isOpen ? pattern.slice(0, -1) : pattern;
  if (isOpen ? segments.length < fixed.length : segments.length !== fixed.length) return false;
  return fixed.every((one, at) => (one === '*' ? segments[at] !== '' : one === segments[at]));
}

import type { EndpointGroup } from './policy.ts';

/**
 * Tells the group of a path by its first segments: in any letters and with any slashes at the end, because a rule must
 * hold wherever a router could be lenient. Paths that are nowhere in `table` are pages.
 */
export function createGroups(
  table: Readonly<Record<string, EndpointGroup | undefined>>,
): (path: string) => EndpointGroup | undefined {
  const groups = new Map(Object.entries(table));
  const firstSegment = /^\/+[^/]*/;
  return (path) => {
    if (groups.has(path)) return groups.get(path);
    const [first = ''] = firstSegment.exec(path) ?? [];
    const name = first.replace(/^\/+/, '/').toLowerCase();
    return groups.has(name) ? groups.get(name) : 'pages';
  };
}

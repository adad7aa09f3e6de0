import type { AppSettings } from '../assembly/settings.ts';
import { readEdgePolicy } from '../config/edge-policy.ts';
import type { Configuration } from '../config/schema.ts';

/** The edge's policy in the app's words; undefined without an edge. Problem('configuration_invalid') for a file that is not one. */
export function edgeSettings({
  edgePolicyFile: file,
}: Pick<Configuration, 'edgePolicyFile'>): AppSettings['edge'] {
  if (file === undefined) return undefined;
  const { proxy, origins, routes } = readEdgePolicy(file);
  return {
    ...{ proxy, origins },
    routes: routes.map(({ acr, maxAgeSeconds, ...route }) => ({ ...route, acr, maxAgeSeconds })),
  };
}

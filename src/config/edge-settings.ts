import { optionalText, setting } from './setting.ts';

/** Deciding about requests for proxies in front of APIs (docs/edge.md). */
export const edgeSettings = {
  edgePolicyFile: setting({
    variable: 'COUNTERSIGN_EDGE_POLICY_FILE',
    type: optionalText,
    sentence:
      'Path of a JSON file that says which requests pass the edge (docs/edge.md); with it proxies may ask at `/edge/verify`.',
  }),
} as const;

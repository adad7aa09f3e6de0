/** Ways to ask an API for the same thing. */
export const gatewayWays = [
  'nginx',
  'nginx-jwt',
  'nginx-api-key',
  'edge-jwt',
  'edge-api-key',
] as const;
/** "nginx" asks nobody; "edge-…" are questions of ours without NGINX. */
export type GatewayWay = (typeof gatewayWays)[number];

/** Some time of requests that go one way. */
export interface GatewaySlot {
  way: GatewayWay;
  milliseconds: number;
  /** Requests a second of all callers together; undefined for as many as are answered. */
  perSecond: number | undefined;
}

/** What came of it. */
export interface GatewayResult {
  /** Milliseconds, from when it was due until the whole answer was there. */
  latencies: number[];
  perSecond: number;
}

/** What the callers of the gateways do when asked. */
export interface GatewayCalls {
  /** Connects all callers; ports of NGINX without and with questions to the edge. */
  connect(ports: { bare: number; asking: number }): undefined;
  slot(slot: GatewaySlot): GatewayResult;
}

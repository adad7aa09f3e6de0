/** What a server process says of itself. */
export interface Usage {
  /** User and system time of all its threads since it started. */
  cpuMicroseconds: number;
  residentBytes: number;
  /** What JavaScript holds of it, garbage included. */
  heapBytes: number;
}

/** Tokens that one lane begins with. */
export interface LaneTokens {
  /** Of a confidential client: not rotated. */
  refreshToken: string;
  /** Of a public client: rotated at every use. */
  rotatingToken: string;
  /** Of a customer, in the name of the resource server with opaque tokens. */
  opaqueToken: string;
  /** Of a customer, for userinfo. */
  userinfoToken: string;
  /** A client's own, to lodge consents with. */
  ownToken: string;
  /** A customer's JWT access token; bare oidc-provider can't introspect one. */
  jwt: string;
}

/** What every server process answers. */
export interface ServerCalls {
  /** Answered when it serves. */
  ready(none: null): undefined;
  usage(none: null): Usage;
  /** Tokens made inside the server, where it has no pages to get them by. */
  mintedTokens(none: null): LaneTokens[];
  /** Begins to note SQL statements. */
  startTrace(none: null): undefined;
  /** The statements since then, in order, once what follows the answers (audit) is written. */
  stopTrace(none: null): string[];
  /** CPU microseconds of judging an API key that is remembered, so many times over. */
  verifyApiKeys(times: number): number;
  /** Signs with the key of the beginning, past the ring, until the ring changes. */
  pinKeys(none: null): undefined;
  /** CPU microseconds of one exchange of the engine's keys, so many times over. */
  swapKeys(times: number): number;
}

export function usage(): Usage {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { cpuMicroseconds: user + system, residentBytes: rss, heapBytes: heapUsed };
}

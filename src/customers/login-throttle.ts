/** How failures slow the next login down. */
export interface ThrottleRule {
  /** So many failures are free. */
  freeFailures: number;
  /** The wait after the next failure; it doubles with each further one. */
  firstDelaySeconds: number;
  longestDelaySeconds: number;
  /** Failures are forgotten this long after the first of them: whoever keeps trying can't prolong it. */
  memorySeconds: number;
}

/** Keyed by account and network: a person mistypes, a guesser is slowed to a try a minute. */
export const sourceRule: ThrottleRule = {
  freeFailures: 5,
  firstDelaySeconds: 2,
  longestDelaySeconds: 60,
  memorySeconds: 900,
};

/** Keyed by network: an office shares one, so more is free. */
export const addressRule: ThrottleRule = {
  freeFailures: 20,
  firstDelaySeconds: 2,
  longestDelaySeconds: 300,
  memorySeconds: 900,
};

/** Keyed by account, for guessers with many networks; so much is free that a few can't keep the owner out. */
export const accountRule: ThrottleRule = {
  freeFailures: 100,
  firstDelaySeconds: 2,
  longestDelaySeconds: 60,
  memorySeconds: 900,
};

/** What works beside requests. */
interface Work {
  securityEvents: { start(): void; release(): void; stop(): Promise<void> };
  apiKeys: { start(): void; stop(): Promise<void> };
  limits: { close(): Promise<unknown> };
  flushMoments: () => Promise<unknown>;
}

/** The work beside requests: what begins it, what lets requests end that wait for it, and what ends it. */
export function backgroundOf({ securityEvents, apiKeys, limits, flushMoments }: Work) {
  return {
    start(): void {
      securityEvents.start();
      apiKeys.start();
    },
    /** Before the server waits for its last requests. */
    release(): void {
      securityEvents.release();
    },
    /** One after the other, after the last request. */
    stops: [
      () => securityEvents.stop(),
      () => apiKeys.stop(),
      () => limits.close(),
      flushMoments,
    ] as readonly (() => Promise<unknown>)[],
  };
}

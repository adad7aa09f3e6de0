import { currentRequest } from '../observability/request-context.ts';
import type { RequestContext } from '../observability/request-context.ts';

/** Reads that one request makes several times. */
export interface RequestMemory<T> {
  /** What `read` gave this request under `key` before, else asks it; outside a request it is always asked. */
  recall(key: string, read: () => Promise<T>): Promise<T>;
  /** To be called around everything that this request writes. */
  forget(): void;
}

/**
 * A memory as long as one request: the engine asks for the same session, interaction or grant up to five times while it
 * answers one. Nothing outlives the request, so what another process did before it is seen.
 */
export function createRequestMemory<T>(): RequestMemory<T> {
  const memories = new WeakMap<RequestContext, Map<string, Promise<T>>>();

  function memoryOf(request: RequestContext): Map<string, Promise<T>> {
    const known = memories.get(request);
    if (known !== undefined) return known;
    const memory = new Map<string, Promise<T>>();
    memories.set(request, memory);
    return memory;
  }

  return {
    recall(key, read) {
      const request = currentRequest();
      if (request === undefined) return read();
      const memory = memoryOf(request);
      const known = memory.get(key);
      if (known !== undefined) return known;
      const reading = read();
      memory.set(key, reading);
      reading.catch(() => memory.delete(key)); // who asks again may be luckier
      return reading;
    },
    forget() {
      const request = currentRequest();
      if (request !== undefined) memories.delete(request);
    },
  };
}

import { LRUCache } from 'lru-cache';
import { memoryMs } from '../database/changes.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Customer } from './customer.ts';

/** What is remembered of one; hashes of passwords are not. */
export type CustomerInUse = Pick<Customer, 'id' | 'profile' | 'status'>;

/** Customers whose tokens are in use. */
export interface CustomerMemory {
  recall(id: string): Promise<CustomerInUse | undefined>;
  /** To be called around everything that this process writes. */
  forget(id: string): void;
}

/** About 1 kB a customer. */
const maxRemembered = 20_000;

/**
 * Remembers customers while changes are heard, and no longer than a minute. `read` must ask the database: what a request has
 * read before may be older than a change that was heard.
 */
export function createCustomerMemory(
  read: (id: string) => Promise<Customer | undefined>,
  changes: ChangeSource,
): CustomerMemory {
  const cache = new LRUCache<string, CustomerInUse | 'absent'>({
    max: maxRemembered,
    ttl: memoryMs(changes),
    ttlResolution: 0, // else each millisecond in which it is asked sets a timer
    ignoreFetchAbort: true, // a look-up that a change overtakes still answers who asked; it is not remembered
    async fetchMethod(customerId, _stale, { options }) {
      options.ttl = memoryMs(changes);
      const found = await read(customerId);
      if (found === undefined) return 'absent'; // a look-up without a value would fail when a change overtakes it
      const { id, profile, status } = found;
      return { id, profile, status };
    },
  });
  changes.subscribe('customers', (id) => {
    if (id === undefined) cache.clear();
    else cache.delete(id);
  });
  return {
    async recall(id) {
      const found = cache.get(id) ?? (await cache.fetch(id));
      return found === 'absent' ? undefined : found;
    },
    forget(id) {
      cache.delete(id);
    },
  };
}

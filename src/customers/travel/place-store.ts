import type { Clock } from '../../clock.ts';
import type { Sql, Statement } from '../../database/sql.ts';
import type { Encryption } from '../../security/encryption.ts';
import { coarse, memorySeconds } from './travel.ts';
import type { Place, Sighting } from './travel.ts';

/** Where each customer last logged in. */
export interface PlaceStore {
  /** Undefined when they did not lately, or when it can't be opened. */
  find(customerId: string): Promise<Sighting | undefined>;
  /** Replaces the one before; of two at once one stays. */
  replace(customerId: string, sighting: Sighting): Promise<void>;
}

const statements = {
  find: {
    name: 'customer_places_find',
    text: 'SELECT place FROM customer_places WHERE customer_id = $1::uuid AND expires_at > $2',
  },
  replace: {
    name: 'customer_places_replace',
    text: `INSERT INTO customer_places (customer_id, place, expires_at) VALUES ($1::uuid, $2, $3)
      ON CONFLICT (customer_id) DO UPDATE SET place = excluded.place, expires_at = excluded.expires_at`,
  },
} as const satisfies Record<string, Statement>;

interface Kept {
  place: Place;
  /** Milliseconds since 1970. */
  at: number;
}

interface Dependencies {
  sql: Sql;
  encryption: Encryption;
  clock: Clock;
  /** Told of a place that can't be opened; the next login replaces it. */
  onUnreadable: (error: unknown) => void;
}

/** Keeps them sealed, coarse, and for less than a day: what a journey is judged by, and no record of where people were. */
export function createPlaceStore({
  sql,
  encryption,
  clock,
  onUnreadable,
}: Dependencies): PlaceStore {
  function open(sealed: Uint8Array, customerId: string): Sighting | undefined {
    try {
      const { place, at } = JSON.parse(encryption.open(sealed, contextOf(customerId))) as Kept;
      return { place, at: new Date(at) };
    } catch (error) {
      // Sealed under a key that is lost or not known yet: who has the right password must get in all the same.
      onUnreadable(error);
      return undefined;
    }
  }

  return {
    async find(customerId) {
      const values = [customerId, clock.now()];
      const [row] = await sql.rows<{ place: Uint8Array }>(statements.find, values);
      return row && open(row.place, customerId);
    },
    async replace(customerId, { place, at }) {
      const kept: Kept = { place: coarse(place), at: at.getTime() };
      const sealed = encryption.seal(JSON.stringify(kept), contextOf(customerId));
      const end = new Date(at.getTime() + memorySeconds * 1000);
      await sql.run(statements.replace, [customerId, sealed, end]);
    },
  };
}

const contextOf = (customerId: string) => `customer-place:${customerId}`;

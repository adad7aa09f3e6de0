import type { Clock } from '../../clock.ts';
import type { Locate } from './geoip-file.ts';
import type { PlaceStore } from './place-store.ts';
import { impossibleJourney } from './travel.ts';
import type { Journey } from './travel.ts';

/** From where customers log in, one time after the other. */
export interface Journeys {
  /** How they would have come from their last login to `address`, if nobody can. */
  impossible(customerId: string, address: string): Promise<Journey | undefined>;
  /** They have logged in. */
  arrived(customerId: string, address: string): Promise<void>;
}

interface Dependencies {
  locate: Locate;
  places: PlaceStore;
  clock: Clock;
}

/** Compares the places of two logins. Of an address that nobody can place nothing is known, asked or kept. */
export function createJourneys({ locate, places, clock }: Dependencies): Journeys {
  const seen = (address: string) => {
    const place = locate(address);
    return place && { place, at: clock.now() };
  };
  return {
    async impossible(customerId, address) {
      const here = seen(address);
      const before = here && (await places.find(customerId));
      return before && impossibleJourney(before, here);
    },
    async arrived(customerId, address) {
      const here = seen(address);
      if (here !== undefined) await places.replace(customerId, here);
    },
  };
}

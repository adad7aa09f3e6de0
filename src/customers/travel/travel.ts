/** Where somebody is, as far as an address tells. */
export interface Place {
  /** Degrees, north and east positive. */
  latitude: number;
  longitude: number;
  /** Within which they are, in kilometres. */
  radiusKm: number;
}

/** Somebody was there. */
export interface Sighting {
  place: Place;
  at: Date;
}

/** How far at least, and how fast, somebody would have come. */
export interface Journey {
  km: number;
  kmPerHour: number;
}

const earthRadiusKm = 6371;

/** Airliners do 900. */
const fastestKmPerHour = 1000;

/** Nearer than that, databases of addresses and mobile networks err too often. */
const leastKm = 500;

/** Between two logins at the same moment, or by clocks that differ. */
const leastSeconds = 60;

/** After this time anywhere can be reached, from anywhere on earth: a place that is older tells nothing. */
export const memorySeconds = Math.ceil((Math.PI * earthRadiusKm * 3600) / fastestKmPerHour);

/** The journey between two sightings, if nobody can have made it. */
export function impossibleJourney(from: Sighting, to: Sighting): Journey | undefined {
  const km = distanceKm(from.place, to.place) - from.place.radiusKm - to.place.radiusKm;
  const seconds = Math.max(leastSeconds, (to.at.getTime() - from.at.getTime()) / 1000);
  const kmPerHour = (km / seconds) * 3600;
  return km >= leastKm && kmPerHour > fastestKmPerHour ? { km, kmPerHour } : undefined;
}

/** Along the great circle, by the haversine formula. */
export function distanceKm(from: Omit<Place, 'radiusKm'>, to: Omit<Place, 'radiusKm'>): number {
  const [north, otherNorth] = [radians(from.latitude), radians(to.latitude)];
  const across = Math.sin((otherNorth - north) / 2) ** 2;
  const along = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  const half = across + Math.cos(north) * Math.cos(otherNorth) * along;
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(half)));
}

/** By half a degree each way, 79 km at most. */
const roundingKm = 79;

/** No finer than a journey needs: whole degrees, which don't tell a home. */
export function coarse({ latitude, longitude, radiusKm }: Place): Place {
  const [north, east] = [Math.round(latitude), Math.round(longitude)];
  return { latitude: north, longitude: east, radiusKm: Math.ceil(radiusKm) + roundingKm };
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

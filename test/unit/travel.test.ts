import { describe, expect, it } from 'vitest';
import {
  coarse,
  distanceKm,
  impossibleJourney,
  memorySeconds,
} from '../../src/customers/travel/travel.ts';
import type { Sighting } from '../../src/customers/travel/travel.ts';
import { cities } from '../support/cities.ts';

type City = keyof typeof cities;

const noon = new Date('2026-11-22T12:00:00Z');

function inCity(city: City, hours = 0, radiusKm = 20): Sighting {
  const at = new Date(noon.getTime() + hours * 3_600_000);
  return { place: { ...cities[city], radiusKm }, at };
}

describe('The distance between', () => {
  it.each<[City, City, number]>([
    ['berlin', 'potsdam', 27],
    ['berlin', 'newYork', 6385],
    ['berlin', 'sydney', 16_094],
    ['sydney', 'auckland', 2156],
    ['auckland', 'honolulu', 7063], // across the date line
    ['berlin', 'berlin', 0],
  ])('%s and %s is %i km, from either side', (one, other, km) => {
    const there = distanceKm(cities[one], cities[other]);
    expect(Math.abs(there - km)).toBeLessThan(Math.max(1, km * 0.005));
    expect(distanceKm(cities[other], cities[one])).toBeCloseTo(there, 6);
  });

  it('opposite places is half the way round the earth', () => {
    const km = distanceKm({ latitude: 30, longitude: 40 }, { latitude: -30, longitude: -140 });
    expect(km).toBeCloseTo(Math.PI * 6371, 0);
  });
});

describe('A journey', () => {
  it.each<[what: string, cities: [City, City], hours: number]>([
    ['that takes an airliner longer', ['berlin', 'newYork'], 6],
    ['to the other side of the earth in an hour', ['berlin', 'sydney'], 1],
    ['across the date line in no time', ['auckland', 'honolulu'], 0],
  ])('%s is impossible', (_what, [from, to], hours) => {
    const journey = impossibleJourney(inCity(from), inCity(to, hours));
    const km = distanceKm(cities[from], cities[to]) - 40;
    expect(journey?.km).toBeCloseTo(km, 6);
    expect(journey?.kmPerHour).toBeGreaterThan(1000);
  });

  it.each<[what: string, cities: [City, City], hours: number]>([
    ['by an airliner', ['berlin', 'newYork'], 8],
    ['to the next town at once', ['berlin', 'potsdam'], 0],
    ['to nowhere', ['berlin', 'berlin'], 0],
  ])('%s is possible', (_what, [from, to], hours) => {
    expect(impossibleJourney(inCity(from), inCity(to, hours))).toBeUndefined();
  });

  it('is as long as it is for certain: both places may be anywhere within their radius', () => {
    const [from, to] = [inCity('sydney', 0, 900), inCity('auckland', 0, 800)];
    expect(impossibleJourney(from, to)).toBeUndefined();
    expect(impossibleJourney(from, inCity('auckland', 0, 700))?.km).toBeCloseTo(556, -1);
  });

  it('is no faster than a minute allows, at the same moment and by a clock that was set back', () => {
    const [at, back] = [0, -5].map((hours) =>
      impossibleJourney(inCity('berlin'), inCity('sydney', hours)),
    );
    expect(at?.kmPerHour).toBeCloseTo((at?.km ?? 0) * 60, 6);
    expect(back).toEqual(at);
    expect(impossibleJourney(inCity('berlin'), inCity('potsdam', -5))).toBeUndefined();
  });

  it('is possible from anywhere to anywhere after the time for which places are remembered', () => {
    const from: Sighting = { place: { latitude: 30, longitude: 40, radiusKm: 0 }, at: noon };
    const at = new Date(noon.getTime() + memorySeconds * 1000);
    const place = { latitude: -30, longitude: -140, radiusKm: 0 };
    expect(impossibleJourney(from, { place, at })).toBeUndefined();
    const earlier = new Date(at.getTime() - 60_000);
    expect(impossibleJourney(from, { place, at: earlier })).toBeDefined();
  });
});

describe('A place that is kept', () => {
  it.each(Object.entries(cities))(
    'of %s is in whole degrees and holds the real one',
    (_name, city) => {
      const kept = coarse({ ...city, radiusKm: 20 });
      expect(Number.isInteger(kept.latitude) && Number.isInteger(kept.longitude)).toBe(true);
      expect(distanceKm(kept, city) + 20).toBeLessThanOrEqual(kept.radiusKm);
    },
  );
});

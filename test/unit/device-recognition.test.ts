import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createDeviceRecognition } from '../../src/customers/device-recognition.ts';
import { createKnownDevices } from '../../src/customers/known-devices.ts';
import { keyedDigest } from '../../src/security/secrets.ts';

const start = new Date('2026-01-01T00:00:00Z');
const daySeconds = 86_400;
const key = randomBytes(32);

let now: Date;
/** When the passwords of customers changed last. */
let changedAt: Map<string, Date>;
let asked: string[];

beforeEach(() => {
  now = start;
  changedAt = new Map([['alex', start]]);
  asked = [];
});

function wait(seconds: number): void {
  now = new Date(now.getTime() + seconds * 1000);
}

const recognition = createDeviceRecognition({
  devices: createKnownDevices(key),
  passwordChangedAt(username) {
    asked.push(username);
    return Promise.resolve(changedAt.get(username));
  },
  clock: { now: () => now },
});

/** The cookie of a browser in which `username` logs in now. */
const cookieOf = (username = 'alex', device?: string) => recognition.remember({ username, device });
const isKnown = async (device: string | undefined, username = 'alex') =>
  (await recognition.recognise({ username, device })) !== undefined;

describe('A browser is known', () => {
  it('from a login on, in whichever letters the name is written, and for nobody else', async () => {
    const cookie = cookieOf();
    changedAt.set('casey', start);
    expect(await isKnown(cookie)).toBe(true);
    expect(createKnownDevices(key).find(cookie, ' ALEX ')?.issuedAt).toEqual(start);
    expect(await isKnown(cookie, 'casey')).toBe(false);
    expect(await isKnown(undefined)).toBe(false);
  });

  it('for a year', async () => {
    const cookie = cookieOf();
    wait(365 * daySeconds - 1);
    expect(await isKnown(cookie)).toBe(true);
    wait(1);
    expect(await isKnown(cookie)).toBe(false);
    expect(await isKnown(cookieOf('alex', cookie))).toBe(true);
  });

  it('until the password changes, and again after the next login', async () => {
    const cookie = cookieOf();
    wait(60);
    changedAt.set('alex', now);
    expect(await isKnown(cookie)).toBe(false);
    expect(await isKnown(cookieOf('alex', cookie))).toBe(true);
  });

  it('while there is such a customer', async () => {
    const cookie = cookieOf();
    changedAt.clear();
    expect(await isKnown(cookie)).toBe(false);
  });

  it('by the entry that is the latest of several', async () => {
    const early = cookieOf();
    wait(60);
    changedAt.set('alex', now);
    const late = cookieOf();
    expect(await isKnown(`${early}~${late}`)).toBe(true);
    expect(await isKnown(`${late}~${early}`)).toBe(true);
  });

  it('beside others, whose entries stay good', async () => {
    changedAt.set('casey', start);
    const both = cookieOf('casey', cookieOf());
    expect([await isKnown(both), await isKnown(both, 'casey')]).toEqual([true, true]);
  });
});

describe('A cookie is worth nothing', () => {
  it('when the password changed while the login was on its way', async () => {
    const arrival = { username: 'alex' };
    await recognition.recognise(arrival);
    wait(1);
    changedAt.set('alex', now);
    wait(1);
    expect(await isKnown(recognition.remember(arrival))).toBe(false);
  });

  it('when its time was changed, or it has none', async () => {
    const [name = '', issued = '', digest = ''] = cookieOf().split('.');
    const later = (Number.parseInt(issued, 36) + 60_000).toString(36);
    expect(await isKnown(`${name}.${later}.${digest}`)).toBe(false);
    const old = keyedDigest(key, 'known-device', `${name} alex`).toString('base64url');
    expect(await isKnown(`${name}.${old}`)).toBe(false);
    expect(await isKnown(`${name}.${issued}.${old}`)).toBe(false);
  });
});

describe('When a password changed', () => {
  it('is asked once a login, and only for a cookie of ours', async () => {
    const cookie = cookieOf();
    await isKnown(undefined);
    await isKnown(cookie, 'casey');
    await isKnown(`${'a'.repeat(22)}.mjuy3uo0.${'a'.repeat(43)}`);
    expect(asked).toEqual([]);
    const arrival = { username: 'alex', device: cookie };
    await recognition.recognise(arrival);
    await recognition.recognise(arrival);
    expect(asked).toEqual(['alex']);
  });
});

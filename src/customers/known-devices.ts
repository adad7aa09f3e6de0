import { equalDigests, keyedDigest, randomSecret } from '../security/secrets.ts';
import { normaliseUsername } from './customer.ts';

/** A browser in which the account has logged in before. */
export interface KnownDevice {
  /** By which this account's failures in the browser are counted. */
  name: string;
  issuedAt: Date;
}

/**
 * Browsers in which a customer has logged in before (OWASP, "Device Cookies"). Somebody who guesses has no such browser,
 * so what slows guessers down can't keep the customer out of their own.
 */
export interface KnownDevices {
  /** What we gave out last for this account; undefined in any other browser. */
  find(cookie: string | undefined, username: string): KnownDevice | undefined;
  /** The cookie after a login: this account's entry first, the others of the browser kept. */
  remember(cookie: string | undefined, username: string, issuedAt: Date): string;
}

/** A household's accounts; a cookie of some 300 bytes. */
const maxEntries = 4;

/** 16 bytes in base64url, milliseconds in base 36, then the digest's 32 bytes. */
const entry = /^[\w-]{22}\.[\da-z]{7,9}\.[\w-]{43}$/;

/** Entries are a random name, a time, and a digest that binds both to the account; the first key makes them, all verify. */
export function createKnownDevices(key: Buffer, ...older: readonly Buffer[]): KnownDevices {
  const digestOf = (by: Buffer, terms: string, username: string) =>
    keyedDigest(by, 'known-device', `${terms} ${normaliseUsername(username)}`);

  function deviceIn(text: string, username: string): KnownDevice | undefined {
    const [name = '', issued = '', digest = ''] = text.split('.');
    const given = Buffer.from(digest, 'base64url');
    const terms = `${name}.${issued}`;
    const isOurs = [key, ...older].some((by) => equalDigests(given, digestOf(by, terms, username)));
    return isOurs ? { name, issuedAt: new Date(Number.parseInt(issued, 36)) } : undefined;
  }

  return {
    find(cookie, username) {
      return entriesIn(cookie)
        .map((text) => deviceIn(text, username))
        .filter((device) => device !== undefined)
        .sort((one, other) => other.issuedAt.getTime() - one.issuedAt.getTime())[0];
    },
    remember(cookie, username, issuedAt) {
      const others = entriesIn(cookie).filter((text) => deviceIn(text, username) === undefined);
      const terms = `${randomSecret(16)}.${issuedAt.getTime().toString(36)}`;
      const own = `${terms}.${digestOf(key, terms, username).toString('base64url')}`;
      return [own, ...others].slice(0, maxEntries).join('~');
    },
  };
}

function entriesIn(cookie: string | undefined): string[] {
  return (cookie ?? '').split('~', maxEntries).filter((text) => entry.test(text));
}

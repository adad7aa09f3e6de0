import { equalDigests, keyedDigest, randomSecret } from '../security/secrets.ts';
import { normaliseUsername } from './customer.ts';

/**
 * Browsers in which a customer has logged in before (OWASP, "Device Cookies"). Somebody who guesses has no such browser,
 * so what slows guessers down can't keep the customer out of their own.
 */
export interface KnownDevices {
  /** The name by which this account's failures in the browser are counted; undefined in any other browser. */
  find(cookie: string | undefined, username: string): string | undefined;
  /** The cookie after a login: this account's entry first, the others of the browser kept. */
  remember(cookie: string | undefined, username: string): string;
}

/** A household's accounts; a cookie of some 400 bytes. */
const maxEntries = 4;

/** 16 bytes in base64url, then the digest's 32. */
const entry = /^[\w-]{22}\.[\w-]{43}$/;

/** Entries are a random name and a digest that binds it to the account; the first key makes them, all verify. */
export function createKnownDevices(key: Buffer, ...older: readonly Buffer[]): KnownDevices {
  const digestOf = (by: Buffer, name: string, username: string) =>
    keyedDigest(by, 'known-device', `${name} ${normaliseUsername(username)}`);

  function nameIn(text: string, username: string): string | undefined {
    const [name = '', digest = ''] = text.split('.');
    const given = Buffer.from(digest, 'base64url');
    const isOurs = [key, ...older].some((by) => equalDigests(given, digestOf(by, name, username)));
    return isOurs ? name : undefined;
  }

  return {
    find(cookie, username) {
      return entriesIn(cookie)
        .map((text) => nameIn(text, username))
        .find((name) => name !== undefined);
    },
    remember(cookie, username) {
      const others = entriesIn(cookie).filter((text) => nameIn(text, username) === undefined);
      const name = randomSecret(16);
      const own = `${name}.${digestOf(key, name, username).toString('base64url')}`;
      return [own, ...others].slice(0, maxEntries).join('~');
    },
  };
}

function entriesIn(cookie: string | undefined): string[] {
  return (cookie ?? '').split('~', maxEntries).filter((text) => entry.test(text));
}

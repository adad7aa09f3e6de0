import type { Clock } from '../clock.ts';
import type { KnownDevices } from './known-devices.ts';

/** Of a login: who says to be in which browser. */
export interface Arrival {
  username: string;
  /** The cookie of known devices. */
  device?: string | undefined;
}

/** Whether browsers are known, looked at once for each login. */
export interface DeviceRecognition {
  /** The name of the account's browser; undefined where it is not known, or not any more. Ask before the password is looked at. */
  recognise(arrival: Arrival): Promise<string | undefined>;
  /** The cookie by which the browser is known from now on. */
  remember(arrival: Arrival): string;
}

interface Dependencies {
  devices: KnownDevices;
  /** Undefined when there is no such customer. Asked only where we gave out a cookie for the name. */
  passwordChangedAt: (username: string) => Promise<Date | undefined>;
  clock: Clock;
}

/** As long as browsers keep the cookie. */
const longestMs = 31_536_000_000;

/**
 * A cookie is good for a year, and until the account's password changes: whoever knew the old one may have one too, and
 * the name may have become somebody else's. It counts from when the login began, because a password may change while
 * the old one is being looked at.
 */
export function createDeviceRecognition(dependencies: Dependencies): DeviceRecognition {
  const { devices, passwordChangedAt, clock } = dependencies;
  const seen = new WeakMap<Arrival, { begunAt: Date; name: Promise<string | undefined> }>();

  async function nameOf({ username, device }: Arrival, now: Date): Promise<string | undefined> {
    const found = devices.find(device, username);
    if (found === undefined) return undefined;
    if (now.getTime() - found.issuedAt.getTime() >= longestMs) return undefined;
    const changedAt = await passwordChangedAt(username);
    return changedAt !== undefined && found.issuedAt >= changedAt ? found.name : undefined;
  }

  return {
    recognise(arrival) {
      const before = seen.get(arrival);
      if (before !== undefined) return before.name;
      const begunAt = clock.now();
      const name = nameOf(arrival, begunAt);
      seen.set(arrival, { begunAt, name });
      return name;
    },
    remember(arrival) {
      const begunAt = seen.get(arrival)?.begunAt ?? clock.now();
      return devices.remember(arrival.device, arrival.username, begunAt);
    },
  };
}

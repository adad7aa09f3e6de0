import type { Clock } from '../clock.ts';
import { equalDigests, keyedDigest, randomSecret } from '../security/secrets.ts';

/** A further step of a login: a form that is good only after a while, once, and where it was given out. */
export interface LoginStep {
  /** For a hidden field of the form. */
  token: string;
  waitSeconds: number;
}

/** Gives out steps and checks them. */
export interface LoginSteps {
  issue(binding: string): LoginStep;
  /** Undefined when the step was taken; else the one to take. */
  take(binding: string, token: string | undefined): Promise<LoginStep | undefined>;
}

interface Dependencies {
  key: Buffer;
  clock: Clock;
  /** How long a customer is made to wait: a nuisance once, and an end to trying lists at speed. */
  waitSeconds: number;
  /** How long the form stays good afterwards. */
  ttlSeconds: number;
  firstUse: (use: { issuer: string; jti: string; expiresAt: Date }) => Promise<boolean>;
}

/** Steps whose terms are in the token, signed; only that one was taken is kept. */
export function createLoginSteps(deps: Dependencies): LoginSteps {
  const { key, clock, waitSeconds, ttlSeconds, firstUse } = deps;
  const now = () => clock.now().getTime();
  const seal = (binding: string, terms: string) =>
    keyedDigest(key, 'login-step', `${terms} ${binding}`);

  /** From when on a token of ours is good, in milliseconds. */
  function beginOf(binding: string, token: string): number | undefined {
    const [id = '', begin = '', digest = ''] = token.split('.');
    const given = Buffer.from(digest, 'base64url');
    const isOurs = equalDigests(given, seal(binding, `${id}.${begin}`));
    return isOurs ? Number(begin) : undefined;
  }

  function issue(binding: string): LoginStep {
    const terms = `${randomSecret(16)}.${String(now() + waitSeconds * 1000)}`;
    const token = `${terms}.${seal(binding, terms).toString('base64url')}`;
    return { token, waitSeconds };
  }

  return {
    issue,
    async take(binding, token) {
      const begin = token === undefined ? undefined : beginOf(binding, token);
      if (token === undefined || begin === undefined) return issue(binding);
      const wait = begin - now();
      if (wait > 0) return { token, waitSeconds: Math.ceil(wait / 1000) };
      const end = begin + ttlSeconds * 1000;
      if (now() >= end) return issue(binding);
      const use = { issuer: 'login-step', jti: token, expiresAt: new Date(end) };
      return (await firstUse(use)) ? undefined : issue(binding);
    },
  };
}

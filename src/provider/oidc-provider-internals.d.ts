/** What is used of oidc-provider's inside: it has no setting for a second nonce secret, and makes identifiers of tokens. */
declare module 'oidc-provider/lib/helpers/weak_cache.js' {
  import type Provider from 'oidc-provider';

  /** What issues nonces and recognises them. */
  interface Challenges {
    nextChallenge(): string;
    checkChallenge(challenge: string): boolean;
  }
  /** The state of an instance. */
  const instance: (provider: Provider) => { DPoPNonces?: Challenges };
  // eslint-disable-next-line no-restricted-exports -- the module exports it so
  export { instance as default };
}

declare module 'oidc-provider/lib/helpers/challenge.js' {
  class ServerChallenge {
    constructor(secret: Buffer, info: string);
    nextChallenge(): string;
    checkChallenge(challenge: string): boolean;
  }
  // eslint-disable-next-line no-restricted-exports -- the module exports it so
  export { ServerChallenge as default };
}

declare module 'oidc-provider/lib/helpers/nanoid.js' {
  /** 43 letters of base64url, at random. */
  const nanoid: () => string;
  // eslint-disable-next-line no-restricted-exports -- the module exports it so
  export { nanoid as default };
}

/** An access token that is good at this moment, JWT or opaque. */
export interface EdgeToken {
  clientId: string;
  customerId: string | undefined;
  scopes: readonly string[];
  audiences: readonly string[];
  /** Unix time in seconds. */
  expiresAt: number;
  certificateThumbprint: string | undefined;
  keyThumbprint: string | undefined;
  consentId: string | undefined;
  acr: string | undefined;
  authTime: number | undefined;
}

/** Undefined for tokens that are expired, revoked, unknown, of somebody who is gone, or under a consent that has ended. */
export type FindToken = (token: string) => Promise<EdgeToken | undefined>;

/** A good API key at a resource server. */
export interface EdgeKey {
  id: string;
  owner: { type: 'client'; id: string } | { type: 'operator' };
  scopes: readonly string[];
  expiresAt: Date;
  limit: { resetSeconds: number } | undefined;
}

/** Judges a key and counts its use; `limited` is a good one that was used too often. */
export type VerifyKey = (shown: {
  key: string;
  address: string | undefined;
  resourceServer: string;
}) => Promise<{ outcome: 'accepted' | 'limited'; key: EdgeKey } | { outcome: 'refused' }>;

/** Who is counted: the address before anything is looked at, the others once they are known. */
export type Subjects =
  | { address: string }
  | { client: string | undefined; customer: string | undefined; apiKey: string | undefined };

/** Whether there may be one more request. */
export interface Admission {
  allowed: boolean;
  resetSeconds: number;
  /** The store of the limits is down, and the rule says that nobody passes then. */
  unavailable: boolean;
  /** The request ended well: what counts failures forgets it. */
  succeeded(): void;
}

/** Counts one request. */
export type Admit = (subjects: Subjects) => Admission | Promise<Admission>;

/** Whether a proof is used for the first time, on all processes. */
export type FirstUse = (use: { issuer: string; jti: string; expiresAt: Date }) => Promise<boolean>;

/** The certificate that the caller presented to the proxy. */
export interface EdgeCertificate {
  /** `x5t#S256`. */
  thumbprint: string;
  /** Why it is not accepted. */
  refusal?: string | undefined;
}

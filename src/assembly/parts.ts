import type { PasswordHasher } from '../customers/password.ts';
import type { Engine } from '../provider/engine.ts';
import type { CertificateSource } from '../tls/certificate-source.ts';
import type { Hosting } from './hosting.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Storage } from './storage.ts';

/** What the routes are built from. */
export interface Parts {
  storage: Storage;
  hosting: Hosting;
  engine: Engine;
  passwords: PasswordHasher;
  certificates: CertificateSource;
  limits: RateLimits;
}

import type { Clock } from '../clock.ts';
import type { Database } from '../database/client.ts';
import { keyIdOf } from '../security/encryption.ts';
import type { Material } from './material.ts';

/** Days after which a secret is due to be replaced; without a number it must stay. */
const schedule = {
  COUNTERSIGN_COOKIE_KEYS: 90,
  COUNTERSIGN_MASTER_KEYS: 90,
  COUNTERSIGN_ENCRYPTION_KEYS: 180,
  COUNTERSIGN_DIGEST_KEY: 180,
  COUNTERSIGN_PAIRWISE_SALT: undefined,
} as const;

/** The settings whose ages are kept, with the values in use: the first of each is the one that makes new things. */
export type AgedSecrets = Readonly<Record<keyof typeof schedule, readonly Buffer[]>>;

/** One value of one setting. */
export interface SecretAge {
  variable: string;
  /** The first 4 bytes of its SHA-256, hex. */
  fingerprint: string;
  /** "makes" what is new, or only "accepts" what is old. */
  use: 'makes' | 'accepts';
  /** When a server first started with it; undefined when none has yet. */
  firstSeenAt: Date | undefined;
  ageDays: number | undefined;
  /** The age at which it is due. */
  dueDays: number | undefined;
  /** "overdue" is twice as old as it should be. */
  state: 'fresh' | 'due' | 'overdue' | 'unused' | 'permanent';
}

/** The secrets of a server's material. */
export function agedSecrets(
  material: Pick<
    Material,
    | 'cookieKeys'
    | 'masterKeys'
    | 'encryptionKeys'
    | 'digestKey'
    | 'olderDigestKeys'
    | 'pairwiseSalt'
  >,
): AgedSecrets {
  return {
    COUNTERSIGN_COOKIE_KEYS: material.cookieKeys,
    COUNTERSIGN_MASTER_KEYS: material.masterKeys,
    COUNTERSIGN_ENCRYPTION_KEYS: material.encryptionKeys,
    COUNTERSIGN_DIGEST_KEY: [material.digestKey, ...(material.olderDigestKeys ?? [])],
    COUNTERSIGN_PAIRWISE_SALT: [material.pairwiseSalt],
  };
}

type Sightings = Pick<Database['prisma'], 'secretSighting'>;

/** Notes that a server uses these secrets, unless it is known. */
export async function noteSecrets(
  secrets: AgedSecrets,
  prisma: Sightings,
  clock: Clock,
): Promise<void> {
  const firstSeenAt = clock.now();
  const data = valuesOf(secrets).map(({ variable, fingerprint }) => ({
    ...{ variable, fingerprint, firstSeenAt },
  }));
  await prisma.secretSighting.createMany({ data, skipDuplicates: true });
}

/** How old each value is, and whether it is due to be replaced. */
export async function secretAges(
  secrets: AgedSecrets,
  prisma: Sightings,
  clock: Clock,
): Promise<SecretAge[]> {
  const sightings = await prisma.secretSighting.findMany();
  const now = clock.now().getTime();
  return valuesOf(secrets).map(({ variable, fingerprint, use }) => {
    const seen = sightings.find(
      (each) => each.variable === variable && each.fingerprint === fingerprint,
    )?.firstSeenAt;
    const ageDays = seen && Math.floor((now - seen.getTime()) / 86_400_000);
    const dueDays = schedule[variable];
    const state = stateOf(ageDays, dueDays);
    return { ...{ variable, fingerprint, use, ageDays, dueDays, state }, firstSeenAt: seen };
  });
}

function stateOf(ageDays: number | undefined, dueDays: number | undefined): SecretAge['state'] {
  if (ageDays === undefined) return 'unused';
  if (dueDays === undefined) return 'permanent';
  if (ageDays < dueDays) return 'fresh';
  return ageDays < 2 * dueDays ? 'due' : 'overdue';
}

function valuesOf(secrets: AgedSecrets) {
  const variables = Object.keys(schedule) as (keyof typeof schedule)[];
  return variables.flatMap((variable) =>
    secrets[variable].map((key, index) => ({
      variable,
      fingerprint: keyIdOf(key).toString('hex'),
      use: index === 0 ? ('makes' as const) : ('accepts' as const),
    })),
  );
}

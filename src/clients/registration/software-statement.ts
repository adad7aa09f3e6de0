import { bounds } from '../../bounds.ts';
import { clockLeadSeconds, epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { readCompactJws, typeFaults } from './compact-jws.ts';
import type { UnverifiedJws } from './compact-jws.ts';
import type { Directory } from './directory.ts';
import type { DirectoryKeys } from './directory-keys.ts';
import { signatureFault } from './key-set.ts';
import { fault } from './registration.ts';
import type { Fault } from './registration.ts';
import { parseStatementClaims } from './software-statement-metadata.ts';
import type { SoftwareStatement } from './software-statement-metadata.ts';

/** What was found out about a software statement. */
export interface JudgedStatement {
  directory?: Directory;
  /** What it says; to be believed only when `isVerified`. */
  statement?: SoftwareStatement;
  /** All of its claims. */
  claims: Readonly<Record<string, unknown>>;
  /** It is signed by the directory and valid now. */
  isVerified: boolean;
  faults: readonly Fault[];
}

interface Dependencies {
  /** Ourselves: whom a statement with `aud` must be for, unless the directory's entry says otherwise. */
  issuer: string;
  directories: readonly Directory[];
  keys: DirectoryKeys;
  clock: Clock;
}

/**
 * Judges a software statement (RFC 7591 §2.3): who issued it, with which key and algorithm, and when. Keys come from the
 * directory's configuration alone; `jku`, `jwk`, `x5u` and `x5c` of the header are not looked at.
 */
export function createStatementJudge({ issuer, directories, keys, clock }: Dependencies) {
  return async function judgeStatement(jws: string): Promise<JudgedStatement> {
    const unverified = readCompactJws(jws, bounds.registrations.maxStatementDepth);
    if ('why' in unverified) return unreadable(unverified.why);
    const { claims, header } = unverified;
    const directory = directories.find(({ issuer }) => issuer === claims['iss']);
    if (directory === undefined) {
      const detail = `the software statement is of ${text(claims['iss'])}, which is no directory of ours`;
      const faults = [fault('unapproved_software_statement', detail)];
      return { claims, isVerified: false, faults };
    }
    const found = [
      ...(await signatureFaults(jws, unverified, { directory, keys })),
      ...timeFaults(claims, directory, epochSeconds(clock)),
      ...audienceFaults(claims, directory, issuer),
      ...typeFaults(header).map((why) => `the statement's ${why}`),
    ];
    const faults = [
      ...found.map((detail) => fault('invalid_software_statement', detail)),
      ...valueFaults(claims, directory),
    ];
    const parsed = parseStatementClaims(claims, directory.claims);
    if ('faults' in parsed) {
      const shape = parsed.faults.map((why) => fault('invalid_software_statement', why));
      return { directory, claims, isVerified: false, faults: [...faults, ...shape] };
    }
    const { statement } = parsed;
    return { directory, statement, claims, isVerified: faults.length === 0, faults };
  };
}

/** The judge of statements. */
export type StatementJudge = ReturnType<typeof createStatementJudge>;

function unreadable(why: string): JudgedStatement {
  const faults = [fault('invalid_software_statement', why)];
  return { claims: {}, isVerified: false, faults };
}

async function signatureFaults(
  jws: string,
  { header }: UnverifiedJws,
  { directory, keys }: { directory: Directory; keys: DirectoryKeys },
): Promise<string[]> {
  const { algorithms } = directory;
  if (!algorithms.some((algorithm) => algorithm === header['alg'])) {
    return [`the statement's alg is ${text(header['alg'])}, allowed are ${algorithms.join(', ')}`];
  }
  try {
    const why = await signatureFault(jws, await keys.keysOf(directory, header['kid']), algorithms);
    return why === undefined
      ? []
      : [`the statement's signature (kid ${text(header['kid'])}): ${why}`];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [`the keys of ${directory.issuer} can't be had: ${why}`];
  }
}

function timeFaults(
  { iat, exp, nbf }: Readonly<Record<string, unknown>>,
  { maxAgeSeconds }: Directory,
  now: number,
): string[] {
  if (typeof iat !== 'number') return ['the statement has no iat'];
  const faults: string[] = [];
  if (iat > now + clockLeadSeconds) {
    faults.push(`the statement is issued ${seconds(iat - now)} in the future by our clock`);
  }
  if (iat < now - maxAgeSeconds) {
    faults.push(
      `the statement is ${seconds(now - iat)} old, allowed are ${seconds(maxAgeSeconds)}`,
    );
  }
  if (exp !== undefined && !(typeof exp === 'number' && exp > now)) {
    faults.push(`the statement expired (exp ${text(exp)}, now ${String(now)})`);
  }
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + clockLeadSeconds)) {
    faults.push(`the statement is not valid yet (nbf ${text(nbf)}, now ${String(now)})`);
  }
  return faults;
}

function audienceFaults(
  { aud }: Readonly<Record<string, unknown>>,
  { audience }: Directory,
  issuer: string,
): string[] {
  if (aud === undefined && audience === undefined) return [];
  const expected = audience ?? issuer;
  if ([aud].flat().includes(expected)) return [];
  return [`the statement's aud is ${text(aud)}, not ${expected}`];
}

function valueFaults(
  claims: Readonly<Record<string, unknown>>,
  { claimValues }: Directory,
): Fault[] {
  return Object.entries(claimValues).flatMap(([claim, allowed]) => {
    const value = claims[claim];
    if (typeof value === 'string' && allowed.includes(value)) return [];
    const detail = `${claim} is ${text(value)}, allowed are ${allowed.join(', ')}`;
    return [fault('unapproved_software_statement', detail)];
  });
}

function seconds(count: number): string {
  return `${String(Math.round(count))} s`;
}

/** What somebody sent, shortened for a log line. */
function text(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 200);
}

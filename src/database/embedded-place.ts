import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Problem } from '../problem.ts';
import { canReach, chooseAccount, type Account } from './embedded-account.ts';

/** Where the embedded server keeps its things and whom it runs as. */
export interface Place {
  /** Folder of ours that holds all the others. */
  root: string;
  /** The cluster. */
  data: string;
  /** The server's log. */
  log: string;
  /** Folder for copies of the programs. */
  copies: string;
  account: Account | undefined;
  /** False where the folder that was asked for can't be reached by the account and another one is used. */
  asAsked: boolean;
}

/** Room for a path in `sockaddr_un`, without its closing zero. */
const SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;
const SOCKET_NAME = '/.s.PGSQL.5432';

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Creates a folder of ours that others can pass through but not list; an existing one must be ours. */
function makePassage(path: string): void {
  try {
    mkdirSync(path);
    chmodSync(path, 0o711);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const stat = lstatSync(path);
  if (stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0) return;
  throw new Problem('embedded_database_failed', {
    detail: `${path} exists but does not belong to this user alone. Remove it, or set DATABASE_URL.`,
  });
}

/** Folders that every user can reach, the lasting one first. */
function reachableBase(account: Account): string {
  for (const parent of ['/var/lib', tmpdir(), '/tmp']) {
    if (!canReach(parent, account)) continue;
    const base = join(parent, 'countersign-embedded');
    try {
      makePassage(base);
      return base;
    } catch (error) {
      if (error instanceof Problem) throw error; // anything else: not writable here, try the next
    }
  }
  throw new Problem('embedded_database_failed', {
    detail: 'No folder was found that both root and the database user can reach. Set DATABASE_URL.',
  });
}

function placeIn(
  root: string,
  copies: string,
  account: Account | undefined,
): Omit<Place, 'asAsked'> {
  return { root, data: join(root, 'data'), log: join(root, 'postgres.log'), copies, account };
}

/**
 * Finds the place for `directory`: itself, or, when we are root and the user that Postgres must run as can't get there
 * (a checkout under /root, say), a folder named by its hash where that user can.
 */
export function findPlace(directory: string): Place {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const root = realpathSync(directory);
  const account = chooseAccount(join(root, 'data'));
  if (account === undefined || canReach(root, account)) {
    return { ...placeIn(root, join(root, 'programs'), account), asAsked: true };
  }
  const base = reachableBase(account);
  const elsewhere = join(base, shortHash(root));
  makePassage(elsewhere);
  const owner = chooseAccount(join(elsewhere, 'data'));
  return { ...placeIn(elsewhere, join(base, 'programs'), owner), asAsked: false };
}

function isPrivate(path: string, uids: (number | undefined)[]): boolean {
  const stat = lstatSync(path);
  return stat.isDirectory() && uids.includes(stat.uid) && (stat.mode & 0o777) === 0o700;
}

/** Creates a folder that only the account may enter; false where another one's folder is in the way. */
function makePrivate(path: string, account: Account | undefined): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (!isPrivate(path, [process.getuid?.(), account?.uid])) return false;
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  return true;
}

/**
 * The folder for the server's unix socket: `run` beside the data where the path is short enough for a socket, else one
 * in the temporary folder. Whoever may enter it is the database's superuser, so it is checked to be private; another
 * process learns of it from postmaster.pid.
 */
export function makeSocketDirectory({ root, account }: Place): string {
  const run = join(root, 'run');
  if (Buffer.byteLength(run + SOCKET_NAME) <= SOCKET_PATH_BYTES) {
    if (makePrivate(run, account)) return run;
    throw new Problem('embedded_database_failed', {
      detail: `${run} must belong to the database's user and be closed to others (mode 0700).`,
    });
  }
  const temporary = canReach(tmpdir(), account) ? tmpdir() : '/tmp';
  const named = join(temporary, `countersign-${shortHash(root)}`);
  if (makePrivate(named, account)) return named;
  const random = mkdtempSync(`${named}-`);
  if (account !== undefined) chownSync(random, account.uid, account.gid);
  return random;
}

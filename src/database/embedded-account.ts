import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** The ids that Postgres runs under. */
export interface Account {
  uid: number;
  gid: number;
}

/** The "nobody" of most systems, for machines without a user called postgres. */
const NOBODY: Account = { uid: 65534, gid: 65534 };

function accountFromPasswd(passwd: string, name: string): Account | undefined {
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name);
  const uid = Number(fields?.[2]);
  const gid = Number(fields?.[3]);
  return Number.isInteger(uid) && Number.isInteger(gid) && uid > 0 ? { uid, gid } : undefined;
}

function postgresUser(): Account {
  try {
    return accountFromPasswd(readFileSync('/etc/passwd', 'utf8'), 'postgres') ?? NOBODY;
  } catch {
    return NOBODY;
  }
}

function ownerOf(path: string): Account | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || stat.uid === 0 ? undefined : { uid: stat.uid, gid: stat.gid };
}

/**
 * Whom Postgres runs as: it refuses to run as root, so root hands it to the owner of data that are there already, else
 * to the user postgres, else to nobody. Undefined means ourselves.
 */
export function chooseAccount(dataDirectory: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return ownerOf(dataDirectory) ?? postgresUser();
}

function mayEnter(directory: string, { uid, gid }: Account): boolean {
  const stat = statSync(directory);
  if (stat.uid === uid) return (stat.mode & 0o100) !== 0;
  return (stat.mode & (stat.gid === gid ? 0o010 : 0o001)) !== 0;
}

/**
 * Whether the account can get into `directory` by the mode bits of every folder above it. Access lists are not read:
 * a folder that only they open counts as closed, which costs a copy and nothing else.
 */
export function canReach(directory: string, account: Account | undefined): boolean {
  if (account === undefined) return true;
  const parent = dirname(directory);
  return mayEnter(directory, account) && (parent === directory || canReach(parent, account));
}

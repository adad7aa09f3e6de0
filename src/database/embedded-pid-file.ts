import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What Postgres writes to `postmaster.pid`, as far as we need it (miscadmin.h, LOCK_FILE_LINE_*). */
export interface PidFile {
  pid: number;
  /** Empty while the server has not opened its socket yet. */
  socketDirectory: string;
  /** Whole text, to tell one server's file from the next one's. */
  text: string;
}

function parse(text: string): PidFile | undefined {
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return pid > 0 ? { pid, socketDirectory: lines[4] ?? '', text } : undefined;
}

function readLock(path: string): PidFile | undefined {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads the server's lock file; undefined where there is none. Other errors (no permission) are thrown. */
export function readPidFile(data: string): PidFile | undefined {
  return readLock(join(data, 'postmaster.pid'));
}

/** Whether a process with that id exists, also when it is another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a process has ended and waits for its parent to notice, which in a container may never happen. */
function isZombie(pid: number): boolean {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

/** Whether /proc shows that `pid` is not a postmaster of `data`; false where nothing can be known. */
function isSomethingElse(pid: number, data: string): boolean {
  try {
    if (readFileSync(`/proc/${String(pid)}/comm`, 'utf8') !== 'postgres\n' || isZombie(pid))
      return true;
    // Postgres works in its data directory. By inode: symbolic links and mounts may give it another name.
    const workingDirectory = statSync(`/proc/${String(pid)}/cwd`);
    const own = statSync(data);
    return workingDirectory.ino !== own.ino || workingDirectory.dev !== own.dev;
  } catch {
    return false;
  }
}

/** Whether the file names a process that may be this cluster's running server. */
export function namesRunningServer({ pid }: PidFile, data: string): boolean {
  return isAlive(pid) && !isSomethingElse(pid, data);
}

function removeForeignLock(path: string, data: string): void {
  const seen = readLock(path);
  if (seen === undefined || !isAlive(seen.pid) || namesRunningServer(seen, data)) return;
  const aside = `${path}.stale-${String(process.pid)}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another process was quicker
  }
  if (readFileSync(aside, 'utf8') === seen.text) rmSync(aside);
  else renameSync(aside, path); // a new server started in between; its file goes back
}

/**
 * Removes lock files whose number now belongs to another program: after a power cut or in a restarted container the
 * numbers come again, and Postgres would take that program for its predecessor and refuse to start. A file of a dead
 * process is left alone: Postgres replaces it by itself. That nobody else uses the data is guarded a second time by
 * Postgres, through the shared memory key that it derives from the data directory.
 */
export function removeForeignLocks(data: string, socketDirectory: string): void {
  removeForeignLock(join(data, 'postmaster.pid'), data);
  removeForeignLock(join(socketDirectory, '.s.PGSQL.5432.lock'), data);
}

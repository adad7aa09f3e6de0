import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startPeer } from './peer.ts';

/** What one test's Apache serves. */
export interface ApacheOptions {
  port: number;
  /** What it shows to its visitors. */
  certificate: IssuedCertificate;
  /** The authority of the servers that it visits itself: `ca.crt` in its folder. */
  trusted: IssuedCertificate;
  /** Names of modules besides the usual ones, such as `auth_openidc`. */
  modules: readonly string[];
  /** Directives of the TLS host; they name files by the path of its folder. */
  directives: (path: string) => string;
  /** Directives outside of it. */
  global?: (path: string) => string;
  /** Documents by their name; `.shtml` may show variables of the request. */
  documents: Record<string, string>;
  /** Further files next to the documents' folder, such as keys. */
  files?: Record<string, string>;
}

/** A running Apache with TLS on a port of its own. */
export interface Apache {
  origin: string;
  stop(): Promise<void>;
}

const usualModules = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'alias',
  'dir',
  'include',
  'mime',
  'headers',
  'socache_shmcb',
  'ssl',
];

/** Starts Debian's Apache. */
export async function startApache(options: ApacheOptions): Promise<Apache> {
  const directory = await temporaryDirectory();
  const documents = path.join(directory.path, 'documents');
  await mkdir(documents, { mode: 0o755 });
  const files = {
    'ca.crt': options.trusted.certificatePem,
    'server.crt': options.certificate.certificatePem,
    'server.key': options.certificate.privateKeyPem,
    'apache.conf': configuration(directory.path, options),
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(directory.path, name), content);
  }
  for (const [name, content] of Object.entries(options.documents)) {
    await writeFile(path.join(documents, name), content);
  }
  const peer = await startPeer({
    command: 'apache2',
    args: ['-d', directory.path, '-f', 'apache.conf', '-DFOREGROUND'],
    ports: [options.port],
  }).catch(async (cause: unknown) => {
    throw new Error(`Apache did not start:\n${await errorLog(directory.path)}`, { cause });
  });
  return {
    origin: `https://localhost:${String(options.port)}`,
    async stop() {
      await peer.stop();
      await directory.remove();
    },
  };
}

function errorLog(directory: string): Promise<string> {
  return readFile(path.join(directory, 'error.log'), 'utf8').catch(() => '');
}

function configuration(site: string, { port, modules, directives, global }: ApacheOptions): string {
  const load = [...usualModules, ...modules].map(
    (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
  );
  return `${load.join('\n')}
ServerName localhost
DefaultRuntimeDir "${site}"
PidFile "${site}/apache.pid"
ErrorLog "${site}/error.log"
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
StartServers 1
TypesConfig /dev/null
SSLSessionCache none
Listen 127.0.0.1:${String(port)}
${global?.(site) ?? ''}
<VirtualHost *:${String(port)}>
  SSLEngine on
  SSLProtocol TLSv1.2 TLSv1.3
  SSLCertificateFile "${site}/server.crt"
  SSLCertificateKeyFile "${site}/server.key"
  DocumentRoot "${site}/documents"
  <Directory "${site}/documents">
    Options +Includes
    AddOutputFilter INCLUDES .shtml
    AddType text/html .shtml
  </Directory>
  ${directives(site)}
</VirtualHost>
`;
}

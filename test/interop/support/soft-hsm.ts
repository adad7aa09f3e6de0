import type { KeyObject } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { runCommand } from './command.ts';

/** A token of SoftHSM in a folder of its own. */
export interface SoftHsm {
  /** Settings by which Countersign makes its keys there. */
  environment: Record<string, string>;
  /** Takes the token away while it is in use, as if somebody pulled it out. */
  takeOut(): Promise<void>;
  putBack(): Promise<void>;
  /** Makes a key pair with OpenSC's tool, as operators do: its type as the tool names it, its label and CKA_ID, and what more is said of it. */
  makeKey(
    type: string,
    names: { label: string; id: string },
    more?: readonly string[],
  ): Promise<void>;
  /** Brings one that was made outside. */
  importKey(key: KeyObject, names: { label: string; id: string }): Promise<void>;
  /** What the token says of its private keys, as OpenSC reads it. */
  describeKeys(): Promise<string>;
  close(): Promise<void>;
}

const label = 'countersign';
const pin = '73519486';
/** Debian's. */
const library = '/usr/lib/softhsm/libsofthsm2.so';

/** Makes a token. SoftHSM finds it by the environment of this process, which its children have too. */
export async function softHsm(): Promise<SoftHsm> {
  const directory = await temporaryDirectory();
  const [tokens, away] = ['tokens', 'away'].map((name) => path.join(directory.path, name)) as [
    string,
    string,
  ];
  const configuration = path.join(directory.path, 'softhsm2.conf');
  await mkdir(tokens);
  await writeFile(configuration, `directories.tokendir = ${tokens}\nlog.level = ERROR\n`);
  const environment = { SOFTHSM2_CONF: configuration };
  const before = process.env['SOFTHSM2_CONF'];
  process.env['SOFTHSM2_CONF'] = configuration;
  const init = ['--init-token', '--free', '--label', label, '--so-pin', '15926535', '--pin', pin];
  const made = await runCommand('softhsm2-util', init, { environment });
  if (made.code !== 0) throw new Error(made.stderr);
  async function tool(action: readonly string[]): Promise<string> {
    const login = ['--module', library, '--token-label', label, '--login', '--pin', pin];
    const result = await runCommand('pkcs11-tool', [...login, ...action], { environment });
    if (result.code !== 0) throw new Error(result.stderr);
    return result.stdout;
  }
  return {
    environment: {
      COUNTERSIGN_KEY_SIGNER: 'pkcs11',
      COUNTERSIGN_PKCS11_LIBRARY: library,
      COUNTERSIGN_PKCS11_TOKEN: label,
      COUNTERSIGN_PKCS11_PIN: pin,
    },
    takeOut: () => rename(tokens, away),
    // Also after a test that failed before it did.
    putBack: () => rename(away, tokens).catch(() => undefined),
    async makeKey(type, { label: keyLabel, id }, more = []) {
      const key = ['--key-type', type, '--label', keyLabel, '--id', id];
      await tool(['--keypairgen', ...key, '--usage-sign', '--sensitive', ...more]);
    },
    async importKey(key, { label: keyLabel, id }) {
      const file = path.join(directory.path, 'brought.pem');
      await writeFile(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      const words = ['--import', file, '--token', label, '--label', keyLabel, '--id', id];
      const result = await runCommand('softhsm2-util', [...words, '--pin', pin], { environment });
      await rm(file);
      if (result.code !== 0) throw new Error(result.stderr);
    },
    describeKeys: () => tool(['--list-objects']),
    async close() {
      if (before === undefined) delete process.env['SOFTHSM2_CONF'];
      else process.env['SOFTHSM2_CONF'] = before;
      await directory.remove();
    },
  };
}

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createPkcs11Signer } from '../../src/signing-keys/signers/pkcs11-signer.ts';
import { faultOf } from '../../src/signing-keys/signers/signer.ts';
import type { Sign, Signer } from '../../src/signing-keys/signers/signer.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const timeoutMs = 1000;
/** A signature waits as long for the process, and then for the call; all else is how busy the machine is. */
const inTimeMs = timeoutMs * 2 + 10_000;
const within = { timeout: 20_000, interval: 20 };
const data = Buffer.from('what is signed');
const standIn = path.resolve(import.meta.dirname, '../support/pkcs11-stand-in.cjs');

let directory: TemporaryDirectory;
let signer: Signer;
let sign: Sign;
let file: string;

beforeEach(async () => {
  directory = await temporaryDirectory();
  file = path.join(directory.path, 'mood');
  await behave('well');
  vi.stubEnv('PKCS11_STAND_IN', file);
  vi.stubEnv('NODE_OPTIONS', `--require=${standIn}`);
  signer = createPkcs11Signer({ library: 'none', token: 'stand-in', pin: '0', timeoutMs });
  sign = signer.open({
    ...{ kid: 'k', algorithm: 'RS256', reference: '0a', privateJwk: undefined },
    publicJwk: { kty: 'RSA' },
  });
});

afterEach(async () => {
  await signer.close();
  vi.unstubAllEnvs();
  await directory.remove();
});

const behave = (mood: string) => writeFile(file, mood);

/** The process that made a signature; machines that are busy start it in more time than a signature may take. */
async function pidOfSigner(): Promise<number> {
  return vi.waitFor(async () => Number((await sign(data)).toString()), within);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

it.each(['hanging', 'hanging in a thread'])(
  'A library whose call never returns (%s) fails the signature in time, and is replaced with its process',
  async (mood) => {
    const first = await pidOfSigner();
    await behave(mood);
    const begun = performance.now();
    const faults = await Promise.all([sign(data).catch(faultOf), sign(data).catch(faultOf)]);
    const tookMs = performance.now() - begun;
    expect(faults).toEqual(['timeout', 'timeout']);
    expect(tookMs).toBeGreaterThanOrEqual(timeoutMs - 50);
    expect(tookMs).toBeLessThan(inTimeMs);
    await expect.poll(() => isAlive(first), within).toBe(false);
    await behave('well');
    expect(await pidOfSigner()).not.toBe(first);
  },
);

it('A library that hangs when it is opened fails signatures in time, and does not outlive the server', async () => {
  await behave('hanging when opened');
  const begun = performance.now();
  expect(await sign(data).catch(faultOf)).toBe('timeout');
  expect(performance.now() - begun).toBeLessThan(inTimeMs);
  const started = () => readFile(`${file}.pid`, 'utf8').catch(() => '');
  const pid = Number(await vi.waitUntil(started, within));
  expect(isAlive(pid)).toBe(true);
  await signer.close();
  // Sooner than opening it is given up, after ten seconds.
  await expect.poll(() => isAlive(pid), { timeout: 4000 }).toBe(false);
});

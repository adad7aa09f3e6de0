import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDirectories } from '../../src/config/directories.ts';
import { textOf } from '../architecture/repository-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

let folder: TemporaryDirectory;

beforeAll(async () => {
  folder = await temporaryDirectory();
});

afterAll(() => folder.remove());

const least = {
  issuer: 'https://directory.example.com',
  keys: { url: 'https://keystore.example.com/directory.jwks' },
  algorithms: ['PS256'],
  maxAgeSeconds: 300,
  roles: { AISP: { 'https://accounts.example.com': ['accounts'] } },
  certificate: [{ attribute: 'UID', claim: 'software_id' }],
};

async function read(value: unknown) {
  const file = path.join(folder.path, 'directories.json');
  await writeFile(file, typeof value === 'string' ? value : JSON.stringify(value));
  return readDirectories(file);
}

describe("The directories' file", () => {
  it('needs little: the rest is the strictest', async () => {
    const [directory] = await read({ directories: [least] });
    expect(directory).toMatchObject({
      body: 'json',
      rolesFrom: 'statement',
      onePerSoftware: true,
      keysByValue: false,
      localRedirectUris: false,
      profile: 'fapi2',
      claimValues: {},
      claims: { softwareId: 'software_id', jwksUri: 'software_jwks_uri', organisationId: 'org_id' },
      certificate: [{ attribute: 'UID', claim: 'software_id', prefix: '' }],
    });
  });

  it('finds files of keys beside itself', async () => {
    const keys = { file: 'keys/directory.json' };
    const [directory] = await read({ directories: [{ ...least, keys }] });
    expect(directory?.keys).toEqual({ file: path.join(folder.path, 'keys/directory.json') });
  });

  it.each<[string, unknown]>([
    ['is no JSON', '{'],
    ['directories: ', { directories: [] }],
    ['an issuer is named twice', { directories: [least, least] }],
    ['directories.0.keys', { directories: [{ ...least, keys: { url: 'http://plain.example' } }] }],
    ['directories.0.algorithms', { directories: [{ ...least, algorithms: [] }] }],
    ['directories.0.algorithms.0', { directories: [{ ...least, algorithms: ['none'] }] }],
    ['directories.0.algorithms.0', { directories: [{ ...least, algorithms: ['HS256'] }] }],
    ['directories.0.maxAgeSeconds', { directories: [{ ...least, maxAgeSeconds: undefined }] }],
    ['directories.0.certificate', { directories: [{ ...least, certificate: [] }] }],
    ['directories.0.roles', { directories: [{ ...least, roles: undefined }] }],
    ['directories.0.profile', { directories: [{ ...least, profile: 'none' }] }],
    ['Unrecognized key: "role"', { directories: [{ ...least, role: 'AISP' }] }],
  ])('is refused with every fault named: %s', async (reason, value) => {
    await expect(read(value)).rejects.toThrow(reason);
    await expect(read(value)).rejects.toMatchObject({ code: 'configuration_invalid' });
  });

  it('is refused when it is not there', () => {
    expect(() => readDirectories(path.join(folder.path, 'missing.json'))).toThrow('is not there');
  });
});

describe('The example in the operations guide', () => {
  it('is valid', async () => {
    const guide = await textOf('docs/operations.md');
    const [, example = ''] = /```json\n(\{\n {2}"directories"[\s\S]+?)```/.exec(guide) ?? [];
    const [directory] = await read(example);
    expect(directory).toMatchObject({ issuer: 'https://directory.example', profile: 'fapi2' });
  });
});

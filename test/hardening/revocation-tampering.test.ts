import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { Problem } from '../../src/problem.ts';
import { readRevocationList } from '../../src/tls/revocation/revocation-crl.ts';
import { clientCertificate } from '../support/certificates.ts';
import { namesLists, namesResponder, ocspAnswer, revocationList } from '../support/revocation.ts';
import { createRevocationWorld, x509 } from '../support/revocation-world.ts';
import type { RevocationWorld } from '../support/revocation-world.ts';

let world: RevocationWorld;
let client: IssuedCertificate;

beforeAll(async () => {
  world = await createRevocationWorld();
  client = await clientCertificate(world.certificates.authority, {
    extensions: [namesResponder(world.server.url('/ocsp')), namesLists(world.server.url('/list'))],
  });
});

afterAll(() => world.server.close());

/** What the list or answer says once an octet at `position` was changed. */
async function statusWith(document: Buffer, position: number, octet: number): Promise<string> {
  const at = position % document.length;
  const changed = Buffer.from(document);
  changed.writeUInt8(octet, at);
  const path = world.server.documents.has('/ocsp') ? '/ocsp' : '/list';
  world.server.documents.set(path, changed);
  return (await world.revocationWith().check([x509(client)])).status;
}

const change = fc.tuple(fc.nat(), fc.nat(255));

describe('A list or an answer that says "revoked"', () => {
  it('never says "good" because an octet of the list was changed on the way', async () => {
    const list = await revocationList(world.certificates.authority, { revoked: [client] });
    world.server.documents.clear();
    await fc.assert(
      fc.asyncProperty(change, async ([position, octet]) => {
        expect(await statusWith(list, position, octet)).not.toBe('good');
      }),
      { numRuns: 200 },
    );
  });

  it('never says "good" because an octet of the answer was changed on the way', async () => {
    const { authority } = world.certificates;
    let request = Buffer.alloc(0);
    world.server.documents.clear();
    world.server.documents.set('/ocsp', (body) => {
      request = Buffer.from(body);
      return ocspAnswer(authority, body);
    });
    await world.revocationWith().check([x509(client)]);
    const answer = await ocspAnswer(authority, request, { status: 'revoked', nonce: 'none' });
    await fc.assert(
      fc.asyncProperty(change, async ([position, octet]) => {
        expect(await statusWith(answer, position, octet)).not.toBe('good');
      }),
      { numRuns: 200 },
    );
  });
});

describe('Bytes that are no list', () => {
  it('are refused, and never by another failure', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const sequence = Buffer.concat([Buffer.from([0x30, 0x82, 0, bytes.length]), bytes]);
        for (const document of [Buffer.from(bytes), sequence]) {
          await expect(readRevocationList(document)).rejects.toBeInstanceOf(Problem);
        }
      }),
    );
  });
});

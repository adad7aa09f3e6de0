import { beforeAll, describe, expect, it } from 'vitest';
import { evidenceOf } from '../../src/consents/evidence/evidence.ts';
import type { EvidenceBundle } from '../../src/consents/evidence/evidence-files.ts';
import { openEvidence, signEvidence } from '../../src/consents/evidence/evidence-signature.ts';
import type { RecordedMove } from '../../src/consents/evidence/evidence-store.ts';
import { inconsistenciesOf } from '../../src/consents/evidence/evidence-verdict.ts';
import { notProvenBy, provenBy } from '../../src/consents/evidence/evidence-words.ts';
import { canonicalJson } from '../../src/security/canonical-json.ts';
import { at, consent, moves, newBundle, newSigner, row, tokens } from '../support/evidence.ts';
import type { TestSigner } from '../support/evidence.ts';

let ours: TestSigner;
let foreign: TestSigner;

beforeAll(async () => {
  ours = await newSigner('ours');
  foreign = await newSigner('foreign');
});

const open = async (jws: string, signer = ours) => openEvidence(jws, { keys: [signer.publicJwk] });

async function faultOf(jws: string, signer = ours): Promise<string> {
  const opened = await open(jws, signer);
  return 'fault' in opened ? opened.fault : '';
}

/** Every leaf of a JSON value, as the names that lead to it. */
function leavesOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, [...path, name]));
}

function changed(value: unknown, [name, ...rest]: string[]): unknown {
  if (name === undefined) return typeof value === 'number' ? value + 1 : `${String(value)}x`;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[name] = changed(copy[name], rest);
  return copy;
}

describe('Evidence', () => {
  it('that is as it was signed holds, and says in words what it proves', async () => {
    const opened = await open(await signEvidence(newBundle(), ours));
    expect(opened).toMatchObject({ bundle: newBundle(), kid: 'ours', algorithm: 'ES256' });
    expect(inconsistenciesOf(newBundle())).toEqual([]);
    const words = provenBy(newBundle()).join('\n');
    for (const part of [
      'the client tpp from 192.0.2.7 asked for a consent to read accounts: ReadAccountsBasic',
      'the customer casey from 192.0.2.7 authorised it, having logged in at 2026-11-22T08:01',
      'by pwd (urn:acr), for Savings, on a page in en whose words are here',
      'the client tpp from 192.0.2.7 revoked it (client)',
      '1 access token was issued under it',
      'bound to print',
      'with countersign 1.2.3',
      'the consent was revoked',
    ]) {
      expect(words).toContain(part);
    }
    expect(notProvenBy(newBundle()).join('\n')).not.toContain('only the digest');
  });

  it('says of tokens what is recorded alone', () => {
    const bundle = { ...newBundle(), tokens: [] };
    const words = provenBy(bundle).join('\n');
    expect(words).toContain('The audit trail has no access token');
    const left = notProvenBy(bundle).join('\n');
    expect(left).toContain('before the trail told under which consent a token is issued');
  });

  it('of a payment holds, and names the resource server that made it', async () => {
    const [created = expect.unreachable()] = moves;
    const lodged = { ...created.content?.lodged, type: 'payment' };
    const lodging = { ...created, content: { lodged } };
    const used: RecordedMove = {
      ...{ ...row, version: 3, at: at(9), move: 'consume', state: 'consumed', reason: 'pay-1' },
      ...{ actorType: 'resource-server', actorId: 'https://api.example', content: undefined },
    };
    const bundle = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30), tokens },
      consent: { ...consent, type: 'payment', state: 'consumed' },
      moves: [lodging, ...moves.slice(1, 2), used],
    });
    expect(await open(await signEvidence(bundle, ours))).toMatchObject({ bundle });
    expect(inconsistenciesOf(bundle)).toEqual([]);
    expect(provenBy(bundle).join('\n')).toContain(
      'the resource server https://api.example from 192.0.2.7 used it up (pay-1)',
    );
  });

  it('in which any member was changed does not', async () => {
    const jws = await signEvidence(newBundle(), ours);
    const [header = '', payload = '', signature = ''] = jws.split('.');
    const bundle = JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown;
    const leaves = leavesOf(bundle);
    expect(leaves.length).toBeGreaterThan(50);
    for (const path of leaves) {
      const tampered = Buffer.from(canonicalJson(changed(bundle, path))).toString('base64url');
      const forged = [header, tampered, signature].join('.');
      expect([path, await faultOf(forged)]).toEqual([path, expect.stringContaining('signature')]);
    }
  });

  it('does not hold when it is cut, padded, or no evidence at all', async () => {
    const jws = await signEvidence(newBundle(), ours);
    const [header = '', payload = ''] = jws.split('.');
    const cut = [jws.slice(0, -4), jws.slice(0, 200), `${header}.${payload}.`, '', 'a.b.c', '{}'];
    for (const text of [...cut, `${jws}.x`]) expect(await faultOf(text)).not.toBe('');
  });

  it('does not hold by another key, nor by one that is not in the key set', async () => {
    const forged = await signEvidence(newBundle(), { ...foreign, kid: 'ours' });
    expect(await faultOf(forged)).toContain('another key signed it');
    const jws = await signEvidence(newBundle(), ours);
    expect(await faultOf(jws, foreign)).toContain('has no key ours');
  });

  it('is nothing that the key signed for another purpose, and nothing unsigned', async () => {
    const part = (value: unknown) => Buffer.from(canonicalJson(value)).toString('base64url');
    const other = `${part({ alg: 'ES256', kid: 'ours', typ: 'at+jwt' })}.${part(newBundle())}`;
    const signature = Buffer.from(await ours.sign(Buffer.from(other))).toString('base64url');
    expect(await faultOf(`${other}.${signature}`)).toContain('it is signed as at+jwt');
    const bare = `${part({ alg: 'none', typ: 'x' })}.${part(newBundle())}.`;
    expect(await faultOf(bare)).toContain('no signed evidence');
  });

  it('of another form is refused, also when the right key signed it', async () => {
    const strange = { ...newBundle(), surprise: 1 } as EvidenceBundle;
    expect(await faultOf(await signEvidence(strange, ours))).toBe(
      'its content is none of ours: Unrecognized key: "surprise"',
    );
  });

  it('of another form is refused in one line that says where, and shows no control character', async () => {
    const { history, ...rest } = newBundle();
    const [created, ...others] = history;
    const wrong = { ...created, by: { type: 'nobody' }, version: 'x', ['\u001b[2J\n']: 1 };
    const strange = { ...rest, history: [wrong, ...others] } as unknown as EvidenceBundle;
    const fault = await faultOf(await signEvidence(strange, ours));
    expect(fault).toMatch(/^its content is none of ours: history\.0\.version: .*, and 2 more$/);
    const named = { ...newBundle(), ['\u001b[2J\nok']: 1 } as EvidenceBundle;
    expect(await faultOf(await signEvidence(named, ours))).toBe(
      'its content is none of ours: Unrecognized key: "?[2J?ok"',
    );
  });
});

describe('Canonical JSON', () => {
  it('has one way to write a value', () => {
    const value = { b: [1.5, true, null, 'é"'], a: { z: 1, y: undefined }, A: -0 };
    expect(canonicalJson(value)).toBe('{"A":0,"a":{"z":1},"b":[1.5,true,null,"é\\""]}');
    expect(() => canonicalJson({ a: Number.NaN })).toThrow(TypeError);
    expect(() => canonicalJson(undefined)).toThrow(TypeError);
  });
});

import { createPrivateKey, sign } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Consent } from '../../src/consents/consent-codec.ts';
import { chained, evidenceOf } from '../../src/consents/evidence/evidence.ts';
import type { EvidenceBundle, EvidenceMove } from '../../src/consents/evidence/evidence-files.ts';
import { openEvidence, signEvidence } from '../../src/consents/evidence/evidence-signature.ts';
import type { EvidenceSigner } from '../../src/consents/evidence/evidence-signature.ts';
import type { RecordedMove } from '../../src/consents/evidence/evidence-store.ts';
import { inconsistenciesOf } from '../../src/consents/evidence/evidence-verdict.ts';
import { notProvenBy, provenBy } from '../../src/consents/evidence/evidence-words.ts';
import { canonicalJson } from '../../src/security/canonical-json.ts';
import { sha256 } from '../../src/security/secrets.ts';

interface TestSigner extends EvidenceSigner {
  publicJwk: JWK;
}

async function newSigner(kid: string): Promise<TestSigner> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const key = createPrivateKey({ key: await exportJWK(pair.privateKey), format: 'jwk' });
  return {
    ...{ kid, algorithm: 'ES256' },
    publicJwk: { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' },
    sign: (data) => Promise.resolve(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })),
  };
}

let ours: TestSigner;
let foreign: TestSigner;

beforeAll(async () => {
  ours = await newSigner('ours');
  foreign = await newSigner('foreign');
});

const at = (minutes: number) => new Date(Date.UTC(2026, 10, 22, 8, minutes));
const shown = '{"clientName":"Example Money"}';
const account = { id: 'a1', name: 'Savings', number: '•••• 1234' };

const consent: Consent = {
  ...{ id: 'urn:countersign:consent:aaaaaaaaaaaaaaaaaaaaaaaa', clientId: 'tpp', regime: 'uk' },
  ...{ type: 'accounts', permissions: ['ReadAccountsBasic'], state: 'revoked', version: 3 },
  ...{ createdAt: at(0), changedAt: at(9), decideBy: at(1440), expiresAt: at(9000) },
  askedUntil: at(9000),
  ...{ customerId: 'casey', acr: 'urn:acr', amr: ['pwd'], authenticatedAt: at(1) },
  accounts: [account],
};

const row = {
  ...{ address: '192.0.2.7', requestId: 'r1', reason: null, textLocale: null, textDigest: null },
};

const moves: RecordedMove[] = [
  {
    ...{ ...row, version: 1, at: at(0), move: 'create', state: 'awaiting-authorisation' },
    ...{ actorType: 'client', actorId: 'tpp', content: { lodged: { type: 'accounts' } } },
  },
  {
    ...{ ...row, version: 2, at: at(2), move: 'authorise', state: 'authorised' },
    ...{ actorType: 'customer', actorId: 'casey', textLocale: 'en', textDigest: sha256(shown) },
    content: {
      ...{ shown, accounts: [account], client: { metadata: { client_name: 'Example Money' } } },
      authentication: { acr: 'urn:acr', amr: ['pwd'], authTime: at(1).toISOString() },
    },
  },
  {
    ...{ ...row, version: 3, at: at(9), move: 'revoke', state: 'revoked', reason: 'client' },
    ...{ actorType: 'client', actorId: 'tpp', content: undefined },
  },
];

const tokens = [
  {
    ...{ at: at(3), type: 'token.issued', clientId: 'tpp', requestId: 'r2' },
    detail: {
      digest: sha256('token').toString('base64url'),
      ...{ audience: 'https://api.example', scope: 'accounts', boundTo: 'print', format: 'jwt' },
    },
  },
];

const newBundle = (): EvidenceBundle =>
  evidenceOf({
    ...{ issuer: 'https://bank.example', softwareVersion: '1.2.3', at: at(30) },
    ...{ consent, moves, tokens },
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
      '1 access tokens were issued under it',
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
    const used: RecordedMove = {
      ...{ ...row, version: 3, at: at(9), move: 'consume', state: 'consumed', reason: 'pay-1' },
      ...{ actorType: 'resource-server', actorId: 'https://api.example', content: undefined },
    };
    const bundle = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30), tokens },
      consent: { ...consent, type: 'payment', state: 'consumed' },
      moves: [...moves.slice(0, 2), used],
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
    expect(await faultOf(await signEvidence(strange, ours))).toContain('none of ours');
  });
});

type Change = (bundle: EvidenceBundle) => unknown;

/** The history with an entry changed, and all digests made anew: what whoever has the key could write. */
function withMove(index: number, change: Partial<EvidenceMove>): Change {
  return (bundle) => {
    const bare = bundle.history.map(({ digest: _digest, ...entry }) => entry);
    bundle.history = chained(bare.map((one, i) => (i === index ? { ...one, ...change } : one)));
    bundle.history_digest = bundle.history.at(-1)?.digest ?? '';
  };
}

function withToken(change: Partial<EvidenceBundle['tokens'][number]>): Change {
  return ({ tokens: issued }) => {
    Object.assign(issued[0] ?? {}, change);
  };
}

describe('A signed bundle contradicts itself', () => {
  it.each<[string, Change, RegExp]>([
    [
      'a digest',
      ({ history }) => (history[1] = { ...(history[1] as EvidenceMove), address: '::1' }),
      /digest of move 2/,
    ],
    ['the last digest', (bundle) => (bundle.history_digest = 'x'.repeat(43)), /whole history/],
    ['a move left out', ({ history }) => history.splice(1, 1), /move 3|digest/],
    ['the order', ({ history }) => history.reverse(), /digest/],
    ['an illegal move', withMove(2, { move: 'withdraw', state: 'rejected' }), /can not lead/],
    ['a first move that is none', withMove(0, { move: 'authorise' }), /can not lead from nothing/],
    ['a version', withMove(2, { version: 4 }), /should have version 3/],
    ['time', withMove(2, { at: at(1).toISOString() }), /before the one before/],
    [
      'the page',
      withMove(1, { page: { locale: 'en', digest: 'y'.repeat(43), shown } }),
      /page of move 2/,
    ],
    ['a decision without a login', withMove(1, { authentication: undefined }), /lacks the page/],
    [
      'a decision by the client',
      withMove(1, { by: { type: 'client', id: 'tpp' } }),
      /by a customer/,
    ],
    [
      'another customer',
      withMove(1, { by: { type: 'customer', id: 'robin' } }),
      /another customer/,
    ],
    ['another client', withMove(0, { by: { type: 'client', id: 'x' } }), /the consent's client/],
    [
      'the state',
      ({ consent: told }) => (told.state = 'authorised'),
      /its history ends with revoked/,
    ],
    ['a token after the end', withToken({ issued_at: at(20).toISOString() }), /did not stand/],
    ['a token of another client', withToken({ client_id: 'x' }), /another client's/],
  ])('by %s', (_name, change, fault) => {
    const bundle = newBundle();
    change(bundle);
    expect(inconsistenciesOf(bundle).join('; ')).toMatch(fault);
  });

  it('not by what only time has ended', () => {
    const late = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(9001) },
      ...{ consent: { ...consent, state: 'expired' }, moves: moves.slice(0, 2), tokens },
    });
    expect(inconsistenciesOf(late)).toEqual([]);
  });

  it('not by a history from before contents were kept, which proves less', () => {
    const older = moves.map((one) => ({ ...one, content: undefined }));
    const bundle = evidenceOf({
      ...{ issuer: 'https://bank.example', softwareVersion: '1', at: at(30) },
      ...{ consent, moves: older, tokens },
    });
    expect(inconsistenciesOf(bundle)).toEqual([]);
    const lacking = notProvenBy(bundle).join('\n');
    expect(lacking).toContain('of which only the digest was kept');
    expect(lacking).toContain('How the customer had logged in for 1 decisions');
    expect(notProvenBy(newBundle()).join('\n')).not.toContain('logged in');
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

import { createPrivateKey, sign } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import type { Consent } from '../../src/consents/consent-codec.ts';
import { evidenceOf } from '../../src/consents/evidence/evidence.ts';
import type { EvidenceBundle } from '../../src/consents/evidence/evidence-files.ts';
import type { EvidenceSigner } from '../../src/consents/evidence/evidence-signature.ts';
import type { RecordedMove } from '../../src/consents/evidence/evidence-store.ts';
import { sha256 } from '../../src/security/secrets.ts';

/** A key that signs, and what verifies it. */
export interface TestSigner extends EvidenceSigner {
  publicJwk: JWK;
}

/** A new key under this name. */
export async function newSigner(kid: string): Promise<TestSigner> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const key = createPrivateKey({ key: await exportJWK(pair.privateKey), format: 'jwk' });
  return {
    ...{ kid, algorithm: 'ES256' },
    publicJwk: { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' },
    sign: (data) => Promise.resolve(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })),
  };
}

/** Minutes after the consent was lodged. */
export const at = (minutes: number) => new Date(Date.UTC(2026, 10, 22, 8, minutes));
/** What the page said. */
export const shown = '{"clientName":"Example Money"}';
export const account = { id: 'a1', name: 'Savings', number: '•••• 1234' };

/** For one account, authorised and revoked. */
export const consent: Consent = {
  ...{ id: 'urn:countersign:consent:aaaaaaaaaaaaaaaaaaaaaaaa', clientId: 'tpp', regime: 'uk' },
  ...{ type: 'accounts', permissions: ['ReadAccountsBasic'], state: 'revoked', version: 3 },
  ...{ createdAt: at(0), changedAt: at(9), decideBy: at(1440), expiresAt: at(9000) },
  askedUntil: at(9000),
  ...{ customerId: 'casey', acr: 'urn:acr', amr: ['pwd'], authenticatedAt: at(1) },
  accounts: [account],
};

/** What moves have in common. */
export const row = {
  ...{ address: '192.0.2.7', requestId: 'r1', reason: null, textLocale: null, textDigest: null },
};

/** Its history. */
export const moves: RecordedMove[] = [
  {
    ...{ ...row, version: 1, at: at(0), move: 'create', state: 'awaiting-authorisation' },
    ...{ actorType: 'client', actorId: 'tpp' },
    content: {
      lodged: { type: 'accounts', permissions: ['ReadAccountsBasic'], expiresAt: at(9000) },
    },
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

/** What was issued under it. */
export const tokens = [
  {
    ...{ at: at(3), type: 'token.issued', clientId: 'tpp', requestId: 'r2' },
    detail: {
      digest: sha256('token').toString('base64url'),
      ...{ audience: 'https://api.example', scope: 'accounts', boundTo: 'print', format: 'jwt' },
    },
  },
];

/** The evidence for it. */
export const newBundle = (): EvidenceBundle =>
  evidenceOf({
    ...{ issuer: 'https://bank.example', softwareVersion: '1.2.3', at: at(30) },
    ...{ consent, moves, tokens },
  });

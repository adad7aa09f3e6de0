import { createHash } from 'node:crypto';
import path from 'node:path';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import type { CryptoKey } from 'jose';
import { systemClock } from '../../src/clock.ts';
import { createEdge } from '../../src/edge/decision.ts';
import type { EdgeRequest } from '../../src/edge/decision.ts';
import type { EdgeToken } from '../../src/edge/edge-ports.ts';
import { createResourceServer } from '../../src/edge/resource-server/resource-server.ts';
import { createTokenMemory } from '../../src/edge/token-memory.ts';
import { edgeSettings } from '../../src/startup/edge-settings.ts';
import { accountsApi } from './world.ts';

/** Algorithms of the tokens that are judged. */
export const judgedAlgorithms = ['RS256', 'ES256'] as const;
export type JudgedAlgorithm = (typeof judgedAlgorithms)[number];

/** Ways to judge one access token that is bound to a certificate, the keys at hand; each throws unless it is good. */
export interface Judgements {
  /** jose's jwtVerify alone. */
  jose: () => Promise<void>;
  /** The published middleware: jose's verification, and everything that an API has to check besides. */
  middleware: () => Promise<void>;
  /** The edge's decision about a token that it remembers: path, route, binding and scope. */
  edge: () => Promise<void>;
}

const issuer = 'https://localhost';
const certificate = Buffer.alloc(1000, 'certificate');
const thumbprint = createHash('sha256').update(certificate).digest('base64url');
const target = '/accounts/1/balances?page=2';

/** A new key and token. */
export async function createJudgements(alg: JudgedAlgorithm): Promise<Judgements> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const token = await newToken(alg, privateKey);
  const expected = { issuer, audience: accountsApi, typ: 'at+jwt', algorithms: [alg] };
  const api = createResourceServer({ issuer, audience: accountsApi, fetch: issuerOf(publicKey) });
  const header = (name: string) => (name === 'authorization' ? [`Bearer ${token}`] : []);
  const decide = createDecision();
  const asked = { header, headerNames: ['authorization'], certificate: { thumbprint } };
  return {
    async jose() {
      await jwtVerify(token, publicKey, expected);
    },
    async middleware() {
      const request = { method: 'GET', target, header, certificate };
      const verdict = await api.judge(request, { scope: 'accounts' });
      if ('refusal' in verdict) throw new Error(JSON.stringify(verdict.refusal));
    },
    async edge() {
      const { outcome } = await decide(asked);
      if (outcome !== 'admitted') throw new Error(outcome);
    },
  };
}

function newToken(alg: JudgedAlgorithm, privateKey: CryptoKey): Promise<string> {
  const claims = { scope: 'accounts', client_id: 'tpp-1', sub: 'tpp-1', jti: 'bench' };
  return new SignJWT({ ...claims, cnf: { 'x5t#S256': thumbprint } })
    .setProtectedHeader({ alg, typ: 'at+jwt', kid: 'bench' })
    .setIssuer(issuer)
    .setAudience(accountsApi)
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey);
}

/** The issuer's discovery document and key. */
function issuerOf(publicKey: CryptoKey) {
  const metadata = { issuer, jwks_uri: `${issuer}/jwks` };
  return async (url: string) => {
    if (!url.endsWith('/jwks')) return Response.json(metadata);
    return Response.json({ keys: [{ ...(await exportJWK(publicKey)), kid: 'bench' }] });
  };
}

const edgePolicyFile = path.join(import.meta.dirname, 'edge-policy.json');

/** The edge by the policy of the servers, without what it asks of stores once a second, and without limits. */
function createDecision() {
  const policy = edgeSettings({ edgePolicyFile });
  if (policy === undefined) throw new Error('no policy');
  const found: EdgeToken = {
    ...{ clientId: 'tpp-1', customerId: undefined, scopes: ['accounts'], audiences: [accountsApi] },
    expiresAt: Math.floor(systemClock.now().getTime() / 1000) + 900,
    ...{ certificateThumbprint: thumbprint, keyThumbprint: undefined, consentId: undefined },
    ...{ acr: undefined, authTime: undefined },
  };
  const admission = { allowed: true, resetSeconds: 0, unavailable: false };
  const decide = createEdge({
    policy,
    findToken: createTokenMemory(() => Promise.resolve(found), systemClock).find,
    verifyKey: () => Promise.resolve({ outcome: 'refused' }),
    admit: () => ({ ...admission, succeeded: () => undefined }),
    firstUse: () => Promise.resolve(true),
    ...{ nonces: undefined, clock: systemClock },
  });
  const told = new Map([
    ['x-original-method', 'GET'],
    ['x-original-uri', target],
  ]);
  return (caller: Pick<EdgeRequest, 'header' | 'headerNames' | 'certificate'>) =>
    decide({
      ...{ method: 'GET', url: '/edge/verify', isFromProxy: true, address: '192.0.2.1' },
      ...{ certificate: caller.certificate, headerNames: [...caller.headerNames, ...told.keys()] },
      header: (name) => [told.get(name) ?? caller.header(name)].flat(),
    });
}

import { generateKeyPair, jwtVerify, SignJWT } from 'jose';
import type { Processes } from './measure.ts';
import { median } from './statistics.ts';

/** CPU microseconds of judging one credential, without the request around it. */
export interface VerificationFindings {
  /** An API key that the process remembers, with a limit of its own. */
  apiKey: number;
  /** jose's jwtVerify of an access token, with the key at hand. */
  jose: Readonly<Record<JoseAlgorithm, number>>;
}

const algorithms = ['RS256', 'ES256'] as const;
type JoseAlgorithm = (typeof algorithms)[number];

const rounds = 5;
const count = 5000;

/** Each in turn, so that what disturbs the machine disturbs all alike; the median of the rounds. */
export async function measureVerifications(
  { servers }: Processes,
  progress: (text: string) => void,
): Promise<VerificationFindings> {
  progress('verifying keys and tokens');
  const [rsa, ec] = await Promise.all(algorithms.map(joseVerification));
  const samples = { apiKey: [] as number[], RS256: [] as number[], ES256: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    samples.apiKey.push(await servers.large.call('verifyApiKeys', count));
    if (rsa !== undefined) samples.RS256.push(await cpuEach(count, rsa));
    if (ec !== undefined) samples.ES256.push(await cpuEach(count, ec));
  }
  return {
    apiKey: median(samples.apiKey),
    jose: { RS256: median(samples.RS256), ES256: median(samples.ES256) },
  };
}

/** CPU microseconds of this process for each of `times` calls, one after another. */
export async function cpuEach(times: number, work: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < times / 5; i += 1) await work();
  const before = process.cpuUsage();
  for (let i = 0; i < times; i += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

async function joseVerification(alg: JoseAlgorithm): Promise<() => Promise<unknown>> {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const token = await new SignJWT({ scope: 'accounts', client_id: 'tpp-1', sub: 'tpp-1' })
    .setProtectedHeader({ alg, typ: 'at+jwt', kid: 'bench' })
    .setIssuer('https://localhost')
    .setAudience('https://accounts.example.com')
    .setIssuedAt()
    .setExpirationTime('15m')
    .sign(privateKey);
  const expected = {
    ...{ issuer: 'https://localhost', audience: 'https://accounts.example.com' },
    ...{ typ: 'at+jwt', algorithms: [alg] },
  };
  return () => jwtVerify(token, publicKey, expected);
}

/** The findings as a line of the report. */
export function verificationLines({ apiKey, jose }: VerificationFindings): string[] {
  const beside = algorithms.map(
    (alg) => `${alg} ${jose[alg].toFixed(0)} (ratio ${(apiKey / jose[alg]).toFixed(2)})`,
  );
  return [
    `- judging an API key that is remembered, without the request around it: ${apiKey.toFixed(0)} µs CPU; jose's jwtVerify alone: ${beside.join(', ')}`,
  ];
}

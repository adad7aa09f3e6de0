import { createJudgements, judgedAlgorithms } from './judging.ts';
import type { JudgedAlgorithm, Judgements } from './judging.ts';
import type { Processes } from './measure.ts';
import { median } from './statistics.ts';

/** CPU microseconds of judging one credential, without the request around it. */
export interface VerificationFindings {
  /** An API key that the process remembers, with a limit of its own. */
  apiKey: number;
  /** One access token that is bound to a certificate, in several ways. */
  tokens: Readonly<Record<JudgedAlgorithm, Readonly<Record<keyof Judgements, number>>>>;
}

const ways = ['jose', 'middleware', 'edge'] as const satisfies (keyof Judgements)[];

const rounds = 5;
const count = 5000;

/** Each in turn, so that what disturbs the machine disturbs all alike; the median of the rounds. */
export async function measureVerifications(
  { servers }: Pick<Processes, 'servers'>,
  progress: (text: string) => void,
): Promise<VerificationFindings> {
  progress('verifying keys and tokens');
  const samples = new Map<string, number[]>();
  const note = (name: string, cpu: number) => {
    samples.set(name, [...(samples.get(name) ?? []), cpu]);
  };
  const judgements = {
    RS256: await createJudgements('RS256'),
    ES256: await createJudgements('ES256'),
  };
  for (let round = 0; round < rounds; round += 1) {
    note('api-key', await servers.large.call('verifyApiKeys', count));
    for (const alg of judgedAlgorithms) {
      for (const way of ways) note(`${alg} ${way}`, await cpuEach(count, judgements[alg][way]));
    }
  }
  const found = (name: string) => median(samples.get(name) ?? []);
  const tokens = (alg: JudgedAlgorithm) => ({
    jose: found(`${alg} jose`),
    middleware: found(`${alg} middleware`),
    edge: found(`${alg} edge`),
  });
  return { apiKey: found('api-key'), tokens: { RS256: tokens('RS256'), ES256: tokens('ES256') } };
}

/** CPU microseconds of this process for each of `times` calls, one after another. */
export async function cpuEach(times: number, work: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < times / 5; i += 1) await work();
  const before = process.cpuUsage();
  for (let i = 0; i < times; i += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

/** The findings as lines of the report. */
export function verificationLines({ apiKey, tokens }: VerificationFindings): string[] {
  const each = (line: (alg: JudgedAlgorithm) => string) => judgedAlgorithms.map(line).join(', ');
  const beside = each(
    (alg) => `${alg} ${micros(tokens[alg].jose)} (ratio ${ratio(apiKey, tokens[alg].jose)})`,
  );
  const ofToken = (way: keyof Judgements) =>
    each(
      (alg) => `${alg} ${micros(tokens[alg][way])} (${ratio(tokens[alg][way], tokens[alg].jose)})`,
    );
  return [
    `- judging an API key that is remembered, without the request around it: ${micros(apiKey)} µs CPU; jose's jwtVerify alone: ${beside}`,
    `- judging a JWT that is bound to a certificate, without the request around it, in µs CPU (ratio to jose's jwtVerify alone): by the middleware ${ofToken('middleware')}; by the edge, which remembers it for a second, ${ofToken('edge')}`,
  ];
}

const micros = (microseconds: number) => microseconds.toFixed(0);

function ratio(cpu: number, beside: number): string {
  return (cpu / beside).toFixed(2);
}

/** The middleware by jose alone, for the table of targets. */
export function middlewareRatios({ tokens }: VerificationFindings): string {
  return judgedAlgorithms
    .map((alg) => `${alg} ${ratio(tokens[alg].middleware, tokens[alg].jose)}`)
    .join(', ');
}

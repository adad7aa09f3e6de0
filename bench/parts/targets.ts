import { table } from './markdown.ts';
import type { RegistrationFindings } from './registrations.ts';
import type { Measurements } from './rounds.ts';
import { median } from './statistics.ts';
import { cpuRatio, inWords, summary } from './summary.ts';
import { middlewareRatios } from './verifications.ts';
import type { VerificationFindings } from './verifications.ts';

interface Findings {
  measurements: Measurements;
  registrations: RegistrationFindings;
  verifications: VerificationFindings;
}

/** What was asked for, with what this run found, as Markdown. */
export function targetLines(findings: Findings): string[] {
  const { measurements, registrations, verifications } = findings;
  const token = inWords(cpuRatio(measurements, 'client-credentials', ['ours', 'bare']));
  const fapi = inWords(cpuRatio(measurements, 'fapi', ['ours', 'bare']));
  const growth = inWords(cpuRatio(measurements, 'client-credentials', ['wide', 'small']));
  const large = registrations.bySize.find(({ server }) => server === 'large');
  const registration = median(large?.milliseconds ?? []).toFixed(1);
  return table(
    ['target', 'asked for', 'found'],
    [
      ['CPU of a token (client credentials), ours / bare', 'at most 1.1', token],
      ['CPU of a FAPI 2.0 flow, ours / bare', 'at most 1.2', fapi],
      ['registration at 100,000 clients, median', 'at most 150 ms', `${registration} ms`],
      ['CPU of a token, 100,000 clients / 10', '0.9 to 1.1', growth],
      ['judging an API key that is remembered', 'at most 150 µs CPU', keys(verifications)],
      ['judging a bound JWT / jose alone', 'at most 2', middlewareRatios(verifications)],
      [`\`/edge/verify\` with a bound JWT / jose alone`, 'at most 2', edge(findings)],
    ],
  );
}

/** The whole request, with TLS and the log, by the verification that it does once a second. */
function edge({ measurements, verifications }: Findings): string {
  const cpu = summary(measurements, 'edge-jwt', 'ours').median;
  return (cpu / verifications.tokens.RS256.jose).toFixed(2);
}

const keys = ({ apiKey }: VerificationFindings) => `${apiKey.toFixed(0)} µs`;

import { table } from './markdown.ts';
import type { RegistrationFinding, RegistrationFindings } from './registrations.ts';
import { median, quantile } from './statistics.ts';

const titles: Record<RegistrationFinding['server'], string> = {
  small: '10',
  large: '100,000',
};

/** How long registrations took, by the number of clients that there were, as Markdown. */
export function registrationLines({ bySize }: RegistrationFindings): string[] {
  const count = bySize[0]?.milliseconds.length ?? 0;
  return [
    `Registration with a software statement, ${String(count)} third parties one after another:`,
    '',
    ...table(
      ['registered clients', 'median ms', 'p95 ms', 'longest ms', 'CPU µs'],
      bySize.map(({ server, milliseconds, cpu }) => [
        titles[server],
        ...[0.5, 0.95, 1].map((q) => quantile(milliseconds, q).toFixed(1)),
        `${median(cpu).toFixed(0)} (${quantile(cpu, 0).toFixed(0)})`,
      ]),
    ),
  ];
}

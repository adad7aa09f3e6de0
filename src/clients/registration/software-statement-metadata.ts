import { z } from 'zod';
import type { ClaimNames } from './directory.ts';

/** What a directory says about a software, in our words. */
export interface SoftwareStatement {
  softwareId: string;
  softwareVersion?: string | undefined;
  clientName?: string | undefined;
  redirectUris: readonly string[];
  roles: readonly string[];
  jwksUri?: string | undefined;
  jwks?: { keys: Record<string, unknown>[] } | undefined;
  organisationId?: string | undefined;
}

const short = z.string().min(1).max(300);
const optionalShort = z.union([short, z.number().transform(String)]).optional();

const shape = z.object({
  softwareId: short,
  softwareVersion: optionalShort,
  clientName: z
    .string()
    .min(1)
    .transform((name) => name.slice(0, 100).replace(/[\uD800-\uDBFF]$/, ''))
    .optional(),
  redirectUris: z.array(z.string().max(2048)).max(500).default([]),
  roles: z.array(short).max(100).default([]),
  jwksUri: z.string().max(2048).optional(),
  jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(100) }).optional(),
  organisationId: optionalShort,
});

/** Reads the claims by the names that the directory gives them; else every fault, a sentence each. */
export function parseStatementClaims(
  claims: Readonly<Record<string, unknown>>,
  names: ClaimNames,
): { statement: SoftwareStatement } | { faults: string[] } {
  const named = Object.entries(names) as [keyof ClaimNames, string][];
  const found = named.map(([name, claim]) => [name, claims[claim] ?? undefined] as const);
  const result = shape.safeParse(Object.fromEntries(found));
  if (result.success) return { statement: result.data };
  return {
    faults: result.error.issues.map(({ path: [member = '', ...rest], message }) =>
      [names[member as keyof ClaimNames], ...rest].join('.').concat(': ', message),
    ),
  };
}

import { expect } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { ukDirectory } from './directory.ts';
import type { StatementVariation, TestSoftware } from './directory.ts';
import { auditOf } from './protocol.ts';
import { callRegistration, registered } from './registering.ts';
import type { RegistrationCall } from './registering.ts';
import type { AuthorizationServer } from './server.ts';

/** How a registration is refused: outside by a code, inside with its reason. */
export interface ExpectedRefusal {
  status?: number;
  error: string;
  reason: RegExp;
}

/** Sends it, and sees the code, a generic sentence, nothing written, and the reason in the audit trail. */
async function expectRefused(
  server: AuthorizationServer,
  call: RegistrationCall,
  { error, reason, status = 400 }: ExpectedRefusal,
): Promise<void> {
  const before = await registered(server);
  const answer = await callRegistration(server, call);
  expect({ status: answer.status, error: answer.body['error'] }).toEqual({ status, error });
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.text).not.toMatch(reason);
  expect(await registered(server)).toBe(before);
  const audited = await auditOf(server, answer);
  expect(audited).toEqual([
    expect.objectContaining({ type: 'client.registration_refused', outcome: 'refused' }),
  ]);
  expect(audited[0]?.detail).toMatchObject({
    error,
    reason: expect.stringMatching(reason) as unknown,
  });
}

/** Who registers, once the server runs. */
interface Registrant {
  server: AuthorizationServer;
  software: TestSoftware;
  certificate: IssuedCertificate;
}

/** Requests of one registrant, with its own certificate and statement unless another is given. */
export function requestsOf(registrant: () => Registrant) {
  return {
    expectRefusal: (call: RegistrationCall, expected: ExpectedRefusal): Promise<void> => {
      const { server, certificate } = registrant();
      return expectRefused(server, { certificate, ...call }, expected);
    },

    body: async (
      members: Record<string, unknown> = {},
      variation: StatementVariation = {},
      issuer = ukDirectory,
    ) => {
      const { software } = registrant();
      return { software_statement: await software.statement(issuer, variation), ...members };
    },
  };
}

import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { discover } from './doctor-checks.ts';
import type { Finding, Origins } from './doctor-checks.ts';
import { spoofCertificates } from './doctor-spoofing.ts';
import type { Appearances, SpoofedClient } from './doctor-spoofing.ts';
import { shortened } from './output.ts';

/** Who comes, and as whom. */
export interface Visitor {
  client: SpoofedClient;
  appearances: Appearances;
  clock: Clock;
}

/** Others write most of them: enough for a sentence of ours with what they said. */
const maxTextLength = 200;

/**
 * Looks at a running server as its callers see it. When the signal of `appearances` says that it is enough,
 * this is a finding of its own, behind what was found until then. Texts have 200 characters at most.
 */
export async function examineFromOutside(
  configured: Origins,
  visitor: Visitor,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const { check, detail, ...rest } of findingsOf(configured, visitor)) {
    findings.push({
      check: shortened(check, maxTextLength),
      ...rest,
      detail: shortened(detail, maxTextLength),
    });
  }
  return findings;
}

async function* findingsOf(configured: Origins, visitor: Visitor): AsyncGenerator<Finding> {
  const { signal } = visitor.appearances;
  try {
    yield* lookAround(configured, visitor);
  } catch (error) {
    const detail = signal.aborted ? tookTooLong : reasonOf(error);
    yield { check: 'connection', status: 'failed', detail, unseen: true };
  }
}

const tookTooLong = 'it took too long: what is not named here was not looked at';

async function* lookAround(
  configured: Origins,
  { client, appearances, clock }: Visitor,
): AsyncGenerator<Finding> {
  const { without, signal } = appearances;
  const { findings, endpoints } = await discover(
    configured,
    (url) => without(url, { signal }),
    clock,
  );
  yield* findings;
  for (const endpoint of endpoints) {
    try {
      yield* spoofCertificates(endpoint, client, appearances);
    } catch (error) {
      if (signal.aborted) throw error;
      const detail = `not wholly examined: ${reasonOf(error)}`;
      yield { check: `spoofing ${endpoint}`, status: 'failed', detail, unseen: true };
    }
  }
}

/** Of what did not come to pass; throws on what is no failure of the other side. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Problem)) throw error;
  return error.detail ?? error.message;
}

import type { X509Certificate } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { secondsFromNow, type Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import { serialNumberOf } from '../certificate-fields.ts';
import { createRevocationCache, type Fetched } from './revocation-cache.ts';
import { revocationPointersOf } from './revocation-names.ts';
import {
  certificateIdOf,
  ocspRequest,
  readOcspAnswer,
  type OcspAnswer,
} from './revocation-ocsp-messages.ts';
import type { Link } from './revocation-path.ts';
import { causeText, periodRefusal, type Verdict } from './revocation-verdict.ts';

/** Who is asked. */
export interface OcspSettings {
  /** One responder for all; else the certificates say who. */
  readonly responderUrl: string | undefined;
  /** Whether responders that certificates name are asked. */
  readonly fromCertificates: boolean;
  readonly floorSeconds: number;
  readonly ceilingSeconds: number;
}

interface Dependencies {
  readonly clock: Clock;
  /** Posts a request and gives the answer's body. */
  readonly ask: (url: string, request: Buffer) => Promise<Buffer>;
  /** Whether a responder's own certificate was revoked, as far as the lists know. */
  readonly isRevoked: (link: Link) => Promise<boolean>;
  readonly onFailure: (source: string, error: unknown) => void;
}

/** Answers of OCSP responders, kept as long as they hold. */
export interface OcspClient {
  /** What the responder says; undefined when there is none to ask. */
  verdictOn(link: Link): Promise<Verdict | undefined>;
}

/** Certificates in use at one time; an answer is some hundred bytes here. */
const maxAnswers = 20_000;

/** Asks responders by RFC 6960; an answer is verified when it comes, and its period at every use. */
export function createOcspClient(settings: OcspSettings, deps: Dependencies): OcspClient {
  const { floorSeconds, ceilingSeconds, responderUrl } = settings;
  const answers = createRevocationCache<OcspAnswer>({
    ...{ floorSeconds, ceilingSeconds, maxSize: maxAnswers, clock: deps.clock },
  });

  async function fetchAnswer(link: Link, known?: OcspAnswer): Promise<Fetched<OcspAnswer>> {
    const failures: string[] = [];
    for (const url of respondersFor(link)) {
      try {
        const answer = keepNewer(await askOne(url, link), known);
        return { value: answer, holdsUntil: answer.nextUpdate };
      } catch (error) {
        deps.onFailure(url, error);
        failures.push(`${url}: ${causeText(error)}`);
      }
    }
    throw new Problem('certificate_invalid', { detail: failures.join('; ') });
  }

  function respondersFor({ certificate }: Link): readonly string[] {
    if (responderUrl !== undefined) return [responderUrl];
    return settings.fromCertificates ? revocationPointersOf(certificate).responders : [];
  }

  async function askOne(url: string, link: Link): Promise<OcspAnswer> {
    const id = certificateIdOf(link.issuer, serialNumberOf(link.certificate.raw));
    const nonce = randomBytes(32);
    const bytes = await deps.ask(url, ocspRequest(id, nonce));
    const now = deps.clock.now();
    const answer = await readOcspAnswer(bytes, {
      ...{ id, nonce, issuer: link.issuer, now },
      isRevoked: (responder: X509Certificate) =>
        deps.isRevoked({ certificate: responder, issuer: link.issuer }),
      // RFC 6960 §2.4: newer information is always to be had, so this one holds as long as we keep any.
      assumedEnd: (thisUpdate: Date) => secondsFromNow({ now: () => thisUpdate }, ceilingSeconds),
    });
    const refusal = periodRefusal(answer, now);
    if (refusal === undefined) return answer;
    throw new Problem('certificate_invalid', { detail: `The OCSP answer ${refusal}.` });
  }

  return {
    async verdictOn(link) {
      if (respondersFor(link).length === 0) return undefined;
      const key = `${link.issuer.fingerprint256} ${link.certificate.fingerprint256}`;
      try {
        const answer = await answers.get(key, (known) => fetchAnswer(link, known));
        return judge(answer, deps.clock.now());
      } catch (error) {
        return { status: 'unknown', reason: causeText(error) };
      }
    },
  };
}

function judge(answer: OcspAnswer, now: Date): Verdict {
  const { verdict } = answer;
  if (verdict.status === 'revoked') return verdict; // also when it is out of date: who was revoked stays so
  const refusal = periodRefusal(answer, now);
  return refusal === undefined
    ? verdict
    : { status: 'unknown', reason: `The OCSP answer ${refusal}` };
}

/** An older answer is what an attacker would play back. */
function keepNewer(answer: OcspAnswer, known: OcspAnswer | undefined): OcspAnswer {
  return known !== undefined && answer.thisUpdate < known.thisUpdate ? known : answer;
}

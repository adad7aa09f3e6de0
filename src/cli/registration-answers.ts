import { subjectText } from '../clients/registration/certificate-rule.ts';
import type { PresentedCertificate } from '../clients/registration/registration-ports.ts';
import type { Examination } from '../clients/registration/registration-request.ts';
import { scopeText } from '../clients/registration/registration.ts';
import type { Clock } from '../clock.ts';
import { fields } from './output.ts';
import type { Answer } from './output.ts';

/** What a registration would come to: every reason against it, or what would be registered. */
export function checkAnswer(
  { faults, facts, accepted }: Examination,
  { certificate }: PresentedCertificate,
  clock: Clock,
): Answer {
  const ok = faults.length === 0;
  const known = {
    directory: facts.directory,
    softwareId: facts.softwareId,
    certificateSubject: subjectText(certificate),
    certificateValidUntil: certificate.validToDate.toISOString(),
    ourTime: clock.now().toISOString(),
  };
  const { client_id: _id, ...metadata } = accepted?.metadata ?? { client_id: '' };
  const would = ok ? { metadata, permissions: accepted?.permissions } : {};
  const lines = ok
    ? ['The registration would be accepted.', `scope  ${scopeText(accepted?.permissions ?? {})}`]
    : ['The registration would be refused:', ...faults.map(lineOf)];
  const details = ok ? [fields(metadata)] : [];
  return {
    json: { ok, faults, ...known, ...would },
    text: [...lines, ...details, '', fields(known)].join('\n'),
  };
}

function lineOf({ code, detail }: Examination['faults'][number]): string {
  return `  - ${code}: ${detail}`;
}

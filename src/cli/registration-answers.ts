import { subjectText } from '../clients/registration/certificate-rule.ts';
import type { Permissions } from '../clients/registration/directory.ts';
import type { PresentedCertificate } from '../clients/registration/registration-ports.ts';
import type { Examination } from '../clients/registration/registration-request.ts';
import type { Clock } from '../clock.ts';
import { fields } from './output.ts';
import type { Answer } from './output.ts';

/** What a registration would come to: every reason against it, or what would be registered. */
export function checkAnswer(
  { faults: found, facts, accepted }: Examination,
  { certificate }: PresentedCertificate,
  clock: Clock,
): Answer {
  // A redirect URI that is sent twice is refused twice.
  const faults = found.filter((one, index) => found.findIndex(isSameAs(one)) === index);
  const ok = faults.length === 0;
  const known = {
    directory: facts.directory,
    softwareId: facts.softwareId,
    certificateSubject: subjectText(certificate),
    certificateValidUntil: certificate.validToDate.toISOString(),
    ourTime: clock.now().toISOString(),
  };
  const { client_id: _id, ...metadata } = accepted?.metadata ?? { client_id: '' };
  const { scope: openidScopes, ...registered }: Record<string, unknown> = metadata;
  const permissions = accepted?.permissions ?? {};
  const would = ok ? { metadata, permissions } : {};
  const lines = ok
    ? ['The registration would be accepted. The client may request:', ...grantLines(permissions)]
    : ['The registration would be refused:', ...faults.map(lineOf)];
  const details = ok
    ? ['', 'It is registered with:', fields({ ...registered, 'OpenID scopes': openidScopes })]
    : [];
  return {
    json: { ok, faults, ...known, ...would },
    text: [...lines, ...details, '', fields(known)].join('\n'),
  };
}

function isSameAs({ code, detail }: Examination['faults'][number]) {
  return (other: Examination['faults'][number]) => other.code === code && other.detail === detail;
}

/** What may be requested, and where: a line a resource server. */
function grantLines(permissions: Permissions): string[] {
  const lines = Object.entries(permissions).map(
    ([resource, scopes]) => `  - the scopes ${scopes.join(' ')} at ${resource}`,
  );
  return lines.length === 0 ? ['  - no scope of any resource server'] : lines;
}

function lineOf({ code, detail }: Examination['faults'][number]): string {
  return `  - ${code}: ${detail}`;
}

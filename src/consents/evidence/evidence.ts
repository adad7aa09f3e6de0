import { canonicalJson } from '../../security/canonical-json.ts';
import { sha256 } from '../../security/secrets.ts';
import type { Consent } from '../consent-codec.ts';
import type { RecordedMove, RecordedToken } from './evidence-store.ts';
import type { EvidenceBundle, EvidenceMove, EvidenceToken } from './evidence-files.ts';
import type { HistoryContent } from '../history-content.ts';

/** `typ` of the signature: nothing else that our keys sign can be taken for evidence. */
export const evidenceType = 'countersign-consent-evidence+jws';

/** What a bundle is made of. */
export interface EvidenceFacts {
  issuer: string;
  softwareVersion: string;
  at: Date;
  consent: Consent;
  moves: readonly RecordedMove[];
  tokens: readonly RecordedToken[];
}

/** Everything that proves a consent, in one document without secrets. */
export function evidenceOf(facts: EvidenceFacts): EvidenceBundle {
  const { issuer, softwareVersion, at, consent, moves, tokens } = facts;
  const history = chained(moves.map(moveOf));
  return withoutUndefined({
    format: 'countersign-consent-evidence-1',
    iss: issuer,
    iat: Math.floor(at.getTime() / 1000),
    software: { name: 'countersign', version: softwareVersion },
    consent: {
      ...{ id: consent.id, client_id: consent.clientId, customer_id: consent.customerId },
      ...{ type: consent.type, regime: consent.regime, state: consent.state },
      ...{
        permissions: [...consent.permissions],
        payment: consent.payment,
        account: consent.account,
      },
      accounts: [...consent.accounts],
      created_at: consent.createdAt.toISOString(),
      changed_at: consent.changedAt.toISOString(),
      decide_by: consent.decideBy.toISOString(),
      expires_at: consent.expiresAt?.toISOString(),
    },
    history,
    history_digest: history.at(-1)?.digest ?? '',
    tokens: tokens.map(tokenOf),
  }) as EvidenceBundle;
}

/** Each entry's digest covers the one before, so that none can be left out, added or moved. */
export function chained(entries: readonly Omit<EvidenceMove, 'digest'>[]): EvidenceMove[] {
  let before = '';
  return entries.map((entry) => {
    before = digestOf(before, entry);
    return { ...entry, digest: before };
  });
}

function digestOf(before: string, entry: object): string {
  return sha256(`${before}\n${canonicalJson(entry)}`).toString('base64url');
}

function moveOf(recorded: RecordedMove): Omit<EvidenceMove, 'digest'> {
  const { version, at, move, state, actorType, actorId, content } = recorded;
  return withoutUndefined({
    ...{ version, at: at.toISOString(), move, state },
    by: { type: actorType, id: actorId ?? undefined },
    address: recorded.address ?? undefined,
    request_id: recorded.requestId ?? undefined,
    reason: recorded.reason ?? undefined,
    ...contentOf(content),
    page: pageOf(recorded),
  }) as Omit<EvidenceMove, 'digest'>;
}

function contentOf(content: HistoryContent | undefined) {
  if (content === undefined) return {};
  const { lodged, accounts, expiresAt, authentication, client } = content;
  return {
    ...{ lodged, accounts, expires_at: expiresAt, client },
    authentication: authentication && {
      ...{ acr: authentication.acr, amr: authentication.amr, auth_time: authentication.authTime },
    },
  };
}

function pageOf({ textLocale: locale, textDigest, content }: RecordedMove) {
  if (locale === null || textDigest === null) return undefined;
  const digest = Buffer.from(textDigest).toString('base64url');
  return { locale, digest, shown: content?.shown };
}

function tokenOf({ at, type, clientId, requestId, detail }: RecordedToken): EvidenceToken {
  const { digest, audience, scope, boundTo, format } = detail;
  return withoutUndefined({
    issued_at: at.toISOString(),
    by: type === 'token.refreshed' ? 'refresh_token' : 'authorization_code',
    client_id: clientId ?? undefined,
    request_id: requestId ?? undefined,
    ...{ digest, audience, scope, format, bound_to: boundTo },
  }) as EvidenceToken;
}

/** As JSON would have it: dates as text, and no undefined members. */
function withoutUndefined(value: object): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

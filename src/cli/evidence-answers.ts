import type { JSONWebKeySet } from 'jose';
import type { EvidenceBundle } from '../consents/evidence/evidence-files.ts';
import { notProvenBy, provenBy } from '../consents/evidence/evidence-words.ts';
import { printable } from './output.ts';
import type { Answer } from './output.ts';

/** The signed bundle as it is to be kept; `--json` gives the keys that verify it as well. */
export function evidenceAnswer(evidence: string, keySet: JSONWebKeySet): Answer {
  return { json: { evidence, keys: keySet.keys }, text: evidence };
}

/** What a verified bundle proves. */
export function verdictAnswer(
  bundle: EvidenceBundle,
  { kid, algorithm }: { kid: string; algorithm: string },
): Answer {
  const proven = provenBy(bundle);
  const notProven = notProvenBy(bundle);
  const list = (sentences: readonly string[]) => sentences.map((one) => `  - ${printable(one)}`);
  const lines = [
    `The evidence for ${bundle.consent.id} is genuine: signed with ${algorithm} by the key ${kid}, complete, and unchanged.`,
    'It proves:',
    ...list(proven),
    'It does not prove:',
    ...list(notProven),
  ];
  const json = { valid: true, consent: bundle.consent.id, kid, algorithm, proven, notProven };
  return { json: { ...json, bundle }, text: lines.join('\n') };
}

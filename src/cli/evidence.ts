import type { Command } from 'commander';
import type { JSONWebKeySet } from 'jose';
import packageJson from '../../package.json' with { type: 'json' };
import { bounds } from '../bounds.ts';
import { createConsentStore } from '../consents/consent-store.ts';
import type { ConsentStore } from '../consents/consent-store.ts';
import { evidenceOf } from '../consents/evidence/evidence.ts';
import { openEvidence, signEvidence } from '../consents/evidence/evidence-signature.ts';
import { createEvidenceStore } from '../consents/evidence/evidence-store.ts';
import type { EvidenceStore } from '../consents/evidence/evidence-store.ts';
import { inconsistenciesOf } from '../consents/evidence/evidence-verdict.ts';
import { Problem } from '../problem.ts';
import { createEncryption } from '../security/encryption.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { ringSigner } from '../startup/ring-signer.ts';
import { signersOf } from '../startup/signers.ts';
import { storedDataKeys } from '../startup/stored-data-keys.ts';
import { addCommand, print } from './command.ts';
import { configurationOf, withDatabase } from './context.ts';
import { evidenceAnswer, verdictAnswer } from './evidence-answers.ts';
import { UsageError } from './failure.ts';
import { readInput, readJsonInput } from './input.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `consents evidence` and `consents verify-evidence`. */
export function addEvidenceCommands(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'evidence <consent>',
    summary: 'print everything that proves a consent, signed',
    example: 'consents evidence urn:countersign:consent:… > evidence.jws',
  }).action(async (id: string, options: Options) => {
    const { evidence, keySet } = await evidenceFor(shell, id);
    print(shell, options, evidenceAnswer(evidence, keySet));
  });
  addCommand(group, {
    usage: 'verify-evidence <file>',
    summary: 'verify such evidence without the database, and say what it proves',
    example: 'consents verify-evidence evidence.jws --jwks jwks.json',
  })
    .requiredOption('--jwks <file|url>', 'the key set of the server that signed it')
    .action(async (file: string, { jwks, ...options }: Options & { jwks: string }) => {
      const opened = await openEvidence(
        (await readInput(shell, file)).trim(),
        await keySetAt(shell, jwks),
      );
      const faults = 'fault' in opened ? [opened.fault] : inconsistenciesOf(opened.bundle);
      if ('fault' in opened || faults.length > 0) {
        throw new Problem('evidence_invalid', { detail: faults.join('; ') });
      }
      print(shell, options, verdictAnswer(opened.bundle, opened));
    });
}

async function evidenceFor(
  shell: Shell,
  id: string,
): Promise<{ evidence: string; keySet: JSONWebKeySet }> {
  const configuration = configurationOf(shell);
  const { encryptionKeys } = storedDataKeys(configuration);
  const signers = signersOf(configuration, { metrics });
  try {
    return await withDatabase(shell, async ({ context: { clock, record }, prisma, sql }) => {
      const encryption = createEncryption(encryptionKeys);
      const store = createEvidenceStore({ sql, encryption });
      const consents = createConsentStore({ sql, encryption, clock });
      const { consent, moves } = await readConsent(id, { consents, store });
      const { customerId, clientId, createdAt } = consent;
      const tokens =
        customerId === undefined ? [] : await store.tokensOf({ id, customerId, createdAt });
      const { issuer } = configuration;
      const facts = { issuer, softwareVersion: packageJson.version, at: clock.now() };
      const bundle = evidenceOf({ ...facts, consent, moves, tokens });
      const signer = await ringSigner(configuration, { prisma, signers });
      const evidence = await signEvidence(bundle, signer);
      await record({
        ...{ type: 'consent.evidenced', clientId, detail: { consent: id, kid: signer.kid } },
        ...(customerId === undefined ? {} : { customerId }),
      });
      return { evidence, keySet: signer.keySet };
    });
  } finally {
    await signers.close();
  }
}

/** The consent and its history as of one moment, although it may be moved meanwhile. */
async function readConsent(
  id: string,
  { consents, store }: { consents: Pick<ConsentStore, 'find'>; store: EvidenceStore },
) {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const consent = await consents.find(id);
    if (consent === undefined) throw new Problem('consent_not_found', { detail: id });
    const moves = await store.movesOf(id);
    if (moves.length === consent.version) return { consent, moves };
  }
  throw new Problem('evidence_invalid', { detail: `${id} lacks a part of its history` });
}

const keySetLimits = {
  timeoutMs: 10_000,
  maxBodyBytes: bounds.answers.maxBytes,
  truststorePem: undefined,
};

/** The key set in a file, or at an https address, which may be in a network of one's own. */
async function keySetAt(shell: Shell, place: string): Promise<JSONWebKeySet> {
  const found = /^https:/.test(place) ? await fetched(place) : await readJsonInput(shell, place);
  const { keys } = found as { keys?: unknown };
  if (!Array.isArray(keys)) throw new UsageError(`${place} holds no key set.`);
  return { keys: keys as JSONWebKeySet['keys'] };
}

async function fetched(address: string): Promise<unknown> {
  const fetch = createOutboundFetch({ ...keySetLimits, allowedHosts: [new URL(address).host] });
  const response = await fetch(address);
  if (response.status !== 200) {
    const detail = `${address} answered ${String(response.status)}`;
    throw new Problem('outbound_refused', { detail });
  }
  return response.json();
}

/** A command is not scraped. */
const metrics = {
  signatureSeconds: { observe: () => undefined },
  signatureFailures: { increment: () => undefined },
};

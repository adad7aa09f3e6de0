import type { Command } from 'commander';
import type { Consent } from '../consents/consent-codec.ts';
import { Problem } from '../problem.ts';
import { addCommand, addGroup, print } from './command.ts';
import { consentDetails, consentDone, consentList } from './consent-answers.ts';
import { withStores } from './context.ts';
import { addEvidenceCommands } from './evidence.ts';
import type { StoresContext } from './context.ts';
import { operatorName } from './shell.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `consents`: what customers have allowed, and its end when they ask the bank for it. */
export function addConsentCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'consents', 'see and end what customers have allowed');
  addCommand(group, {
    usage: 'list <customer>',
    summary: 'list the consents of a customer',
    example: 'consents list alex',
  }).action(async (name: string, options: Options) => {
    const consents = await withStores(shell, async (context) =>
      context.consents.listOf(await customerIdOf(context, name)),
    );
    print(shell, options, consentList(consents));
  });
  addCommand(group, {
    usage: 'show <consent>',
    summary: 'show a consent with its history',
    example: 'consents show urn:countersign:consent:…',
  }).action(async (id: string, options: Options) => {
    const [consent, history] = await withStores(
      shell,
      async (context) =>
        [await findConsent(context, id), await context.consents.history(id)] as const,
    );
    print(shell, options, consentDetails(consent, history));
  });
  addRevoke(group, shell);
  addEvidenceCommands(group, shell);
}

function addRevoke(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'revoke <consent>',
    summary: 'end a consent for its customer, with every token under it',
    example: 'consents revoke urn:countersign:consent:…',
  }).action(async (id: string, options: Options) => {
    const revoked = await withStores(shell, async (context) => {
      const by = { type: 'operator', id: operatorName() } as const;
      const moved = await context.consents.move(id, 'revoke', { by, reason: 'operator' });
      const { clientId, customerId } = moved;
      await context.record({
        ...{ type: 'consent.revoked', clientId, detail: { consent: id, by: 'operator' } },
        ...(customerId === undefined ? {} : { customerId }),
      });
      return moved;
    });
    print(shell, options, consentDone('revoked, and every token under it', revoked));
  });
}

async function customerIdOf({ customers }: StoresContext, name: string): Promise<string> {
  const found = (await customers.find(name)) ?? (await customers.findByUsername(name));
  if (found === undefined) throw new Problem('customer_not_found', { detail: name });
  return found.id;
}

async function findConsent({ consents }: StoresContext, id: string): Promise<Consent> {
  const found = await consents.find(id);
  if (found === undefined) throw new Problem('consent_not_found', { detail: id });
  return found;
}

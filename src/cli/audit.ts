import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { AuditRow, AuditSearch } from '../audit/audit-store.ts';
import { auditEventTypes } from '../audit/events.ts';
import type { AuditEventType } from '../audit/events.ts';
import { addCommand, addGroup, print } from './command.ts';
import { withAudit } from './context.ts';
import { wholeNumber } from './input.ts';
import { table } from './output.ts';
import type { Shell } from './shell.ts';

interface ListOptions {
  json?: true;
  type?: AuditEventType[];
  client?: string;
  customer?: string;
  since?: Date;
  until?: Date;
  limit: number;
}

/** `audit`: what happened. */
export function addAuditCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'audit', 'read the audit trail');
  addCommand(group, {
    usage: 'list',
    summary: 'list audit events, the newest first',
    example: 'audit list --type token.refused --since 2026-11-01 --limit 20',
  })
    .option('--type <type>', 'only events of this type (repeat)', eventType)
    .option('--client <id>', 'only events about this client')
    .option('--customer <id>', 'only events about this customer')
    .option('--since <time>', 'only events at or after this ISO 8601 time', moment)
    .option('--until <time>', 'only events before this ISO 8601 time', moment)
    .option('--limit <count>', 'how many events at most', wholeNumber(1, 1000), 50)
    .addHelpText('after', `\nTypes:\n${catalogue()}`)
    .action(async (options: ListOptions) => {
      const events = await withAudit(shell, ({ auditStore }) => auditStore.search(search(options)));
      const rows = events.map((event) => [
        event.at.toISOString(),
        event.type,
        event.outcome,
        actorOf(event),
        JSON.stringify(event.detail),
      ]);
      const text = table(['TIME', 'TYPE', 'OUTCOME', 'BY', 'DETAIL'], rows);
      print(shell, options, { json: { events: events.map(asJson) }, text });
    });
}

function search({ type, client, customer, since, until, limit }: ListOptions): AuditSearch {
  return {
    limit,
    ...(type && { types: type }),
    ...(client !== undefined && { clientId: client }),
    ...(customer !== undefined && { customerId: customer }),
    ...(since && { since }),
    ...(until && { until }),
  };
}

function eventType(value: string, previous: AuditEventType[] = []): AuditEventType[] {
  if (Object.hasOwn(auditEventTypes, value)) return [...previous, value as AuditEventType];
  throw new InvalidArgumentError('There is no such type; --help lists them.');
}

const isoTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/** A date alone is midnight UTC. */
function moment(value: string): Date {
  const time = new Date(value);
  if (isoTime.test(value) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('It must be a time such as 2026-11-01 or 2026-11-01T08:00:00Z.');
}

function catalogue(): string {
  const width = Math.max(...Object.keys(auditEventTypes).map((type) => type.length));
  return Object.entries(auditEventTypes)
    .map(([type, sentence]) => `  ${type.padEnd(width)}  ${sentence}`)
    .join('\n');
}

function actorOf({ actorType, actorId, clientId, customerId }: AuditRow): string {
  const actor = actorId === null ? actorType : `${actorType} ${actorId}`;
  const about = [
    ...(clientId === null || clientId === actorId ? [] : [`client ${clientId}`]),
    ...(customerId === null || customerId === actorId ? [] : [`customer ${customerId}`]),
  ];
  return about.length === 0 ? actor : `${actor} about ${about.join(', ')}`;
}

function asJson(event: AuditRow) {
  return { ...event, at: event.at.toISOString() };
}

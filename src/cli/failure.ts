import { CommanderError } from 'commander';
import { isDatabaseUnavailable } from '../database/unavailable.ts';
import { redactText } from '../observability/redact-text.ts';
import { Problem } from '../problem.ts';
import { Refusal } from '../startup/material.ts';

/** 0 done, 1 failed, 2 called wrongly, 78 (sysexits.h) configured wrongly. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, configuration: 78 } as const;

/** A command that was called wrongly, beyond what commander itself notices. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The exit code for what a command threw. */
export function exitCodeOf(error: unknown): number {
  // commander has printed the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof Refusal) return exitCodes.configuration;
  const isConfiguration = error instanceof Problem && error.code === 'configuration_invalid';
  return isConfiguration ? exitCodes.configuration : exitCodes.failure;
}

/** What the operator reads: one sentence, or a list where there are several problems. Without secrets. */
export function explain(error: unknown): string {
  return redactText(sentenceOf(error));
}

function sentenceOf(error: unknown): string {
  if (error instanceof Refusal) {
    const lines = error.problems.map((problem) => `  - ${problem}`);
    return ['The configuration is not valid:', ...lines].join('\n');
  }
  if (error instanceof Problem && error.code !== 'database_unavailable') return problemText(error);
  const text = error instanceof Error ? error.message : String(error);
  const detail = error instanceof Problem ? (error.detail ?? text) : text;
  if (!isDatabaseUnavailable(error)) return detail;
  return `The database can't be used: ${lastLine(detail)}`;
}

/** "There is no such client: web-1". */
function problemText({ publicMessage, detail }: Problem): string {
  if (detail === undefined) return publicMessage;
  return `${publicMessage.replace(/\.$/, '')}: ${detail.replace(/\.$/, '')}.`;
}

/** Prisma puts the reason last. */
function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? text;
}

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { bounds } from '../bounds.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { issueClientCertificate } from '../development/certificate-authority.ts';
import type { IssuedCertificate } from '../development/certificate-authority.ts';
import { developmentFiles } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { configurationProblems } from '../startup/configuration-problems.ts';
import { Refusal } from '../startup/material.ts';
import { addCommand, print } from './command.ts';
import { certificateFindings } from './doctor-checks.ts';
import type { Finding } from './doctor-checks.ts';
import { examineFromOutside } from './doctor-outside.ts';
import type { Appearances, SpoofedClient } from './doctor-spoofing.ts';
import { exitCodes, UsageError } from './failure.ts';
import { readInput, wholeNumber } from './input.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
  client?: string;
  certificate?: string;
  authority?: string;
  timeout: number;
}

/** `doctor`: looks at a running server from outside, and at the configuration that it should have. */
export function addDoctorCommand(
  program: Command,
  shell: Shell,
  onExit: (code: number) => void,
): void {
  addCommand(program, {
    usage: 'doctor',
    summary: 'look at a running server from outside: are forged certificate headers believed?',
    example: 'doctor --client tpp-1 --certificate tpp-1.crt',
  })
    .option('--client <id>', 'a client that authenticates by certificate, to be forged')
    .option('--certificate <file>', "that client's certificate, PEM; its key is not needed")
    .option('--authority <file>', "an authority of the server's certificate, PEM")
    .option('--timeout <seconds>', 'for all requests', wholeNumber(1, 3600), timeoutSeconds)
    .addHelpText('after', hint)
    .action(async (options: Options) => {
      const findings = await examine(shell, options);
      const isSafe = findings.every(({ status }) => status !== 'failed');
      print(shell, options, answerOf(findings, isSafe));
      onExit(isSafe ? exitCodes.ok : exitCodes.failure);
    });
}

const hint = `
Run it where callers are: what a proxy drops is seen from its far side only. Nothing is changed; the refused requests are audited.`;

async function examine(shell: Shell, options: Options): Promise<Finding[]> {
  const problems = await configurationProblems(shell.environment, shell.clock);
  const loaded = loadConfiguration(shell.environment);
  if (!loaded.ok) throw new Refusal(problems);
  const { configuration } = loaded;
  const client = await spoofedClient(shell, options);
  const appearances = await appearancesFor(shell, configuration, options);
  return [
    ...(problems.length === 0
      ? [
          {
            check: 'configuration',
            status: 'ok',
            detail: 'nothing stands against a start',
          } as const,
        ]
      : problems.map((detail): Finding => ({ check: 'configuration', status: 'failed', detail }))),
    ...(problems.length === 0 ? certificateFindings(configuration, shell.clock) : []),
    ...(await examineFromOutside(configuration, { client, appearances, clock: shell.clock })),
  ];
}

/** Without a client of the operator's a made-up one: then only headers that are read at all are found. */
async function spoofedClient(shell: Shell, options: Options): Promise<SpoofedClient> {
  const { client: id = 'countersign-doctor', certificate } = options;
  if (certificate !== undefined) return { id, certificate: await readInput(shell, certificate) };
  const forged = await madeUpCertificate(shell, id);
  return { id, certificate: forged.certificatePem };
}

function madeUpCertificate({ clock }: Shell, name: string): Promise<IssuedCertificate> {
  return issueClientCertificate(undefined, { subject: `CN=${name}`, clock });
}

/** A hundred requests over a slow line: a server that takes its time must not take the operator's. */
const timeoutSeconds = 120;

/** Of one request. */
const timeoutMs = 10_000;

/** To the server that the configuration names, wherever it is. */
async function appearancesFor(
  shell: Shell,
  configuration: Configuration,
  { authority, timeout }: Options,
): Promise<Appearances> {
  const { issuer, mtlsOrigin, outboundTruststore } = configuration;
  const authorities = [
    outboundTruststore,
    authority === undefined
      ? await developmentAuthority(configuration)
      : await readInput(shell, authority),
  ];
  if (!issuer.startsWith('https://')) throw new UsageError('The issuer has no https address.');
  const limits = {
    allowedHosts: [issuer, mtlsOrigin].map((origin) => new URL(origin).host),
    truststorePem: authorities.filter((pem) => pem !== undefined).join('\n'),
    timeoutMs,
    maxBodyBytes: bounds.answers.maxBytes,
  };
  const clientCertificate = await madeUpCertificate(shell, 'countersign-doctor');
  return {
    without: createOutboundFetch(limits),
    withOwn: createOutboundFetch({ ...limits, clientCertificate }),
    signal: AbortSignal.timeout(timeout * 1000),
  };
}

async function developmentAuthority(configuration: Configuration): Promise<string | undefined> {
  if (configuration.environment === 'production') return undefined;
  const files = createPrivateFiles(configuration.keysDirectory);
  return readFile(files.pathOf(developmentFiles.authority), 'utf8').catch(() => undefined);
}

const words = { ok: 'ok', warning: 'WARNING', failed: 'FAILED' } as const;

function answerOf(findings: readonly Finding[], isSafe: boolean): Answer {
  const rows = findings.map(({ check, status, detail }) => [words[status], check, detail]);
  return {
    json: { ok: isSafe, findings },
    text: `${table(['STATUS', 'CHECK', 'DETAIL'], rows)}\n${verdictOf(findings)}`,
  };
}

function verdictOf(findings: readonly Finding[]): string {
  const failed = findings.filter(({ status }) => status === 'failed');
  const unsafe = failed.filter(({ unseen }) => unseen !== true);
  if (failed.length === 0) return 'Nothing unsafe was found.';
  if (unsafe.length === failed.length) return 'Something unsafe was found.';
  return unsafe.length === 0
    ? 'What FAILED could not be looked at: whether it is safe is not known.'
    : 'Something unsafe was found, and not everything could be looked at.';
}

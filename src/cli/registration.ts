import { Option } from 'commander';
import type { Command } from 'commander';
import type { InitialAccessTokenStore } from '../clients/registration/initial-access-token-store.ts';
import { securityProfiles } from '../clients/profiles.ts';
import type { SecurityProfile } from '../clients/profiles.ts';
import { newClientId } from '../clients/registration/registrations.ts';
import type { RegistrationRequest } from '../clients/registration/registration-request.ts';
import { fault } from '../clients/registration/registration.ts';
import { registrationCheck } from '../startup/registration-check.ts';
import { addCommand, print } from './command.ts';
import { withStores } from './context.ts';
import type { StoresContext } from './context.ts';
import { exitCodes } from './failure.ts';
import { readInput, wholeNumber } from './input.ts';
import { checkAnswer } from './registration-answers.ts';
import { rejectUnknownScopes } from './resource-scopes.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** Told with what code the command ends that has said everything itself. */
type OnExit = (code: number) => void;

/** `clients initial-access-token` and `clients check-registration`: how third parties register themselves. */
export function addRegistrationCommands(group: Command, shell: Shell, onExit: OnExit): void {
  addInitialAccessToken(group, shell);
  addCheck(group, shell, onExit);
}

interface TokenOptions extends Options {
  resource: string;
  scope: string[];
  profile: SecurityProfile;
  expiresIn: number;
}

function addInitialAccessToken(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'initial-access-token',
    summary:
      'issue a token with which one client may register without a software statement; shown once',
    example:
      'clients initial-access-token --resource https://api.bank.example --scope accounts --expires-in 86400',
  })
    .requiredOption('--resource <uri>', 'the resource server that the client may use')
    .requiredOption('--scope <scope...>', 'the scopes that it may request there')
    .addOption(
      new Option('--profile <profile>', 'what the client is held to')
        .choices(securityProfiles)
        .default('fapi2'),
    )
    .option('--expires-in <seconds>', 'how long it may be used', wholeNumber(60, 2_592_000), 86_400)
    .action(async ({ resource, scope, profile, expiresIn, ...options }: TokenOptions) => {
      const issued = await withStores(shell, async (context) => {
        await rejectUnknownScopes(context, resource, scope);
        const fixed = { permissions: { [resource]: scope }, profile };
        const made = await context.initialAccessTokens.issue(fixed, expiresIn);
        const isAccepted = context.configuration.initialAccessTokens;
        const detail = { resource, scopes: scope, profile, expiresAt: made.expiresAt };
        await context.record({ type: 'initial_access_token.created', detail });
        return { ...made, isAccepted };
      });
      print(shell, options, tokenAnswer(issued));
    });
}

type Issued = Awaited<ReturnType<InitialAccessTokenStore['issue']>> & { isAccepted: boolean };

function tokenAnswer({ token, expiresAt, isAccepted }: Issued) {
  const until = expiresAt.toISOString();
  const hint = isAccepted
    ? ''
    : 'No server accepts it before COUNTERSIGN_INITIAL_ACCESS_TOKENS=true.\n';
  return {
    json: { initialAccessToken: token, expiresAt: until },
    text: `One client may register with this token until ${until}.\n${hint}It is shown this once; only a digest is kept:\n${token}`,
  };
}

interface CheckOptions extends Options {
  body: string;
  certificate: string;
  directory?: string;
  token?: string;
}

function addCheck(group: Command, shell: Shell, onExit: OnExit): void {
  addCommand(group, {
    usage: 'check-registration',
    summary: 'tell everything for which a registration would be refused; changes nothing',
    example: 'clients check-registration --body request.json --certificate tpp.crt',
  })
    .requiredOption('--body <file>', 'the request: JSON or a signed JWT (- for standard input)')
    .requiredOption('--certificate <file>', 'the client certificate, and its issuers, PEM')
    .option('--directory <issuer>', 'trust no other directory')
    .option('--token <token>', 'the initial access token')
    .addHelpText('after', '\nNot looked at: whether the certificate is revoked.')
    .action(async ({ body: file, certificate: pemFile, ...options }: CheckOptions) => {
      const text = await readInput(shell, file);
      const pem = await readInput(shell, pemFile);
      const found = await withStores(shell, async (context) => {
        const check = registrationCheck(context, options.directory);
        const certificate = check.certificateOf(pem);
        const request = { certificate, clientId: newClientId(), body: bodyOf(text) };
        const { fixed, faults } = await initialAccess(options.token, context);
        const examination = await check.examine({ ...request, fixed });
        const { accepted } = examination;
        const isTaken =
          accepted !== undefined &&
          (await context.registrations.isTaken(accepted.origin, request.clientId));
        const taken = isTaken
          ? [fault('unapproved_software_statement', 'the software is registered already')]
          : [];
        const all = [...faults, ...examination.faults, ...taken];
        return { examination: { ...examination, faults: all }, certificate };
      });
      const { examination, certificate } = found;
      print(shell, options, checkAnswer(examination, certificate, shell.clock));
      onExit(examination.faults.length === 0 ? exitCodes.ok : exitCodes.failure);
    });
}

function bodyOf(text: string): RegistrationRequest['body'] {
  return { type: text.trimStart().startsWith('{') ? 'json' : 'jwt', text };
}

async function initialAccess(token: string | undefined, context: StoresContext) {
  if (token === undefined) return { fixed: undefined, faults: [] };
  const fixed = await context.initialAccessTokens.find(token);
  if (fixed !== undefined) return { fixed, faults: [] };
  const unknown = 'the initial access token is unknown, used or expired';
  return { fixed: undefined, faults: [fault('invalid_token', unknown)] };
}

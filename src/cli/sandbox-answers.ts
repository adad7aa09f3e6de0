import path from 'node:path';
import { developmentFiles } from '../development/material.ts';
import type { PrivateFiles } from '../development/private-files.ts';
import { sandboxIssuer } from '../development/sandbox-directory.ts';
import { sandboxFiles, sandboxPath } from '../development/sandbox-software.ts';
import type { SandboxSoftware } from '../development/sandbox-software.ts';
import { table } from './output.ts';
import type { Answer } from './output.ts';

interface Place {
  files: PrivateFiles;
  mtlsOrigin: string;
}

/** A new third party: where its files are, and what to do next. */
export function softwareAnswer(software: SandboxSoftware, place: Place): Answer {
  const folder = path.dirname(place.files.pathOf(sandboxPath(software.name, 'software')));
  const commands = commandsFor(software, place);
  const { name, softwareId, roles, profile } = software;
  return {
    json: {
      ...software,
      directory: sandboxIssuer(profile),
      folder,
      files: sandboxFiles,
      commands,
    },
    text: `The third party ${name} is software ${softwareId} with the roles ${roles.join(', ')}, for the profile ${profile}.
Its certificates, keys and software statement are in ${folder}

1. Register (the statement is good for an hour; \`sandbox statement ${name}\` issues another)
${commands.register}

2. A token for itself, bound to its certificate
${commands.token}

3. A customer's token, by the sample application, which registers by itself
${commands.application}`,
  };
}

/** A fresh statement. */
export function statementAnswer(statement: string, directory: string): Answer {
  return { json: { statement, directory }, text: statement };
}

/** One line each. */
export function softwareTable(software: readonly SandboxSoftware[]): string {
  return table(
    ['NAME', 'SOFTWARE', 'ROLES', 'PROFILE'],
    software.map(({ name, softwareId, roles, profile }) => [
      name,
      softwareId,
      roles.join(','),
      profile,
    ]),
  );
}

function commandsFor({ name, resource, scopes }: SandboxSoftware, { files, mtlsOrigin }: Place) {
  const quotedPath = (file: string) => quoted(files.pathOf(file));
  const registered = quotedPath(sandboxPath(name, 'registered'));
  const curl = [
    `curl -sS --cacert ${quotedPath(developmentFiles.authority)}`,
    `--cert ${quotedPath(sandboxPath(name, 'certificate'))}`,
    `--key ${quotedPath(sandboxPath(name, 'key'))}`,
  ].join(' ');
  const body = quoted(`@${files.pathOf(sandboxPath(name, 'registration'))}`);
  const clientId = `"$(sed 's/.*"client_id":"\\([^"]*\\)".*/\\1/' ${registered})"`;
  return {
    register: `(umask 077; ${curl} -H 'Content-Type: application/json' --data ${body} ${mtlsOrigin}/register | tee ${registered})`,
    token: `${curl} -d grant_type=client_credentials -d client_id=${clientId} -d scope=${scopes.join('%20')} -d resource=${resource} ${mtlsOrigin}/token`,
    application: `npm run example:tpp-app -- --name ${name}`,
  };
}

/** A shell word: paths may have spaces and quotes. */
function quoted(text: string): string {
  return /^[\w@./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

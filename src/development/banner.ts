import { browserClientId, callbackPath, codeChallengeOf } from './callback-page.ts';
import { developmentFiles } from './material.ts';
import type { PrivateFiles } from './private-files.ts';
import { sampleCustomers, sampleResource } from './sample-data.ts';

/** What the banner tells. */
export interface BannerFacts {
  issuer: string;
  mtlsOrigin: string;
  operationsUrl: string;
  files: PrivateFiles;
  databaseDirectory: string | undefined;
  customerPassword: string;
  codeVerifier: string;
}

/** What a newcomer reads after the first start: where everything is, and three commands to paste. */
export function banner(facts: BannerFacts): string {
  const { issuer, mtlsOrigin, operationsUrl, files, databaseDirectory } = facts;
  const names = sampleCustomers.map(({ username }) => username);
  return `
Countersign runs in development mode.

  Issuer            ${issuer}
  With certificate  ${mtlsOrigin}
  Health, metrics   ${operationsUrl}/readyz  ${operationsUrl}/metrics
  Keys and secrets  ${files.pathOf('.')}
  Database          ${databaseDirectory ?? 'DATABASE_URL'}
  Customers         ${names.join(', ')}  password ${facts.customerPassword}

1. Discovery
${discoveryCommand(facts)}

2. A token for the sample TPP, bound to its certificate
${clientCredentialsCommand(facts)}

3. Log in as a customer: open this in a browser (its certificate is from the CA in the folder above)
${authorizationUrl(facts)}

npm run demo tells the whole story, docs/tpp-guide.md how to become a third party yourself, docs/tour.md what else there is.
Stop with Ctrl-C.
`;
}

/** curl with the development CA. */
function discoveryCommand({ issuer, files }: Pick<BannerFacts, 'issuer' | 'files'>): string {
  return `curl --cacert ${quoted(files.pathOf(developmentFiles.authority))} ${issuer}/.well-known/openid-configuration`;
}

/** curl with the sample TPP's certificate. */
function clientCredentialsCommand({
  mtlsOrigin,
  files,
}: Pick<BannerFacts, 'mtlsOrigin' | 'files'>): string {
  const file = (name: string) => quoted(files.pathOf(name));
  return [
    `curl --cacert ${file(developmentFiles.authority)}`,
    `--cert ${file(developmentFiles.tppCertificate)} --key ${file(developmentFiles.tppKey)}`,
    '-d grant_type=client_credentials -d client_id=sample-tpp -d scope=accounts',
    `-d resource=${sampleResource} ${mtlsOrigin}/token`,
  ].join(' ');
}

/** An authorization request of the sample browser client. */
function authorizationUrl({
  issuer,
  codeVerifier,
}: Pick<BannerFacts, 'issuer' | 'codeVerifier'>): string {
  const url = new URL('/authorize', issuer);
  url.search = new URLSearchParams({
    client_id: browserClientId,
    response_type: 'code',
    redirect_uri: issuer + callbackPath,
    scope: 'openid profile accounts',
    code_challenge: codeChallengeOf(codeVerifier),
    code_challenge_method: 'S256',
  }).toString();
  return url.href;
}

/** A shell word: paths may have spaces and quotes. */
function quoted(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

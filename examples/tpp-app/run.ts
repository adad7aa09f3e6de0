import path from 'node:path';
import { parseArgs } from 'node:util';
import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { connect, pushRequest } from './authorization.ts';
import type { Bank } from './authorization.ts';
import { openWebsite, remindOnce } from './callback.ts';
import { fetchOverTls } from './mutual-tls.ts';
import { register, registeredBefore, registrationEndpoint, unregister } from './registration.ts';
import type { Method, Registered } from './registration.ts';
import { readSoftware } from './software.ts';
import type { Software } from './software.ts';

process.on('uncaughtException', (error) => {
  console.error(reasonOf(error));
  // eslint-disable-next-line n/no-process-exit -- the website may still be listening
  process.exit(1);
});

const ownKeys = path.resolve(import.meta.dirname, '../../keys');

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'acme' },
    keys: { type: 'string', default: ownKeys },
    auth: { type: 'string', default: 'certificate' },
    api: { type: 'string' },
    clean: { type: 'boolean', default: false },
  },
});

const methods: Readonly<Partial<Record<string, Method>>> = {
  certificate: 'tls_client_auth',
  key: 'private_key_jwt',
};

const software = readSoftware(values.keys, values.name);
const fetch = fetchOverTls(software.transport);
if (values.clean) await clean();
else await tellAll();

async function tellAll(): Promise<void> {
  const method = methods[values.auth];
  if (method === undefined) throw new Error('--auth is "certificate" or "key"');
  const endpoint = await registrationEndpoint(software.issuer, fetch);
  const registered = await registeredAs(method, endpoint);
  show('Registered', {
    client_id: registered.client_id,
    security_profile: registered['security_profile'],
    token_endpoint_auth_method: registered.token_endpoint_auth_method,
    scope: registered['scope'],
  });
  const bank = await connect(software, registered, fetch);
  const tokens = await customerTokens(software, bank);
  show('Access token', decodeJwt(tokens.access_token));
  show('ID token', tokens.claims());
  const api = values.api ?? new URL('/development/resource', endpoint).href;
  const answer = await openid.fetchProtectedResource(
    bank.configuration,
    tokens.access_token,
    new URL(`${api}/${software.scopes[0] ?? ''}`),
    'GET',
  );
  show(`The API answers ${String(answer.status)}`, await answer.json());
}

/** The registration of an earlier run, unless it was for another way to authenticate. */
async function registeredAs(method: Method, endpoint: string): Promise<Registered> {
  const before = registeredBefore(software);
  if (before?.token_endpoint_auth_method === method) return before;
  if (before !== undefined) await unregister(software, before, fetch);
  return register(software, method, { endpoint, fetch });
}

async function customerTokens(wanted: Software, bank: Bank) {
  const website = await openWebsite(wanted.redirectUri, wanted.website);
  try {
    const { url, checks } = await pushRequest(wanted, bank);
    console.log(
      `\nOpen this within a minute, in a browser, and log in as a customer:\n${url.href}`,
    );
    const callback = await remindOnce(website.callback, () => {
      console.log(
        `\nStill waiting for the customer to come back to ${wanted.redirectUri}. An address that nobody opened is good no more: stop with Ctrl-C and start again.`,
      );
    });
    return await openid.authorizationCodeGrant(bank.configuration, callback, checks);
  } finally {
    website.close();
  }
}

async function clean(): Promise<void> {
  const before = registeredBefore(software);
  if (before === undefined) {
    console.log('There is no registration.');
    return;
  }
  await unregister(software, before, fetch);
  console.log(`Unregistered ${before.client_id}; its tokens have ended.`);
}

function show(title: string, content: unknown): void {
  console.log(`\n${title}\n${JSON.stringify(content, null, 2)}`);
}

/** What went wrong in a line: the bank's words where it has said some. */
function reasonOf(error: Error): string {
  const { error: code, error_description: description } = error as Error & Record<string, unknown>;
  const said = [code, description].filter((part) => typeof part === 'string').join(': ');
  return said === '' ? error.message : `The bank says ${said}`;
}

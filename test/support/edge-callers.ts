import { secondsFromNow, systemClock } from '../../src/clock.ts';
import { askEdge } from './edge.ts';
import type { EdgeAnswer, EdgeQuestion } from './edge.ts';
import { basic, post } from './protocol.ts';
import { accountsApi } from './server.ts';
import type { AuthorizationServer } from './server.ts';

/** What callers of a gateway have, and how they ask. */
export function edgeCallers(server: AuthorizationServer) {
  /** With the certificate of "tpp" unless the question says otherwise. */
  function withToken(token: string, question: EdgeQuestion = {}) {
    const headers = { authorization: `Bearer ${token}`, ...question.headers };
    return askEdge(server, { certificate: server.tpp, ...question, headers });
  }

  async function machineToken(scope = 'accounts', resource = accountsApi): Promise<string> {
    const form = { grant_type: 'client_credentials', client_id: 'tpp', scope, resource };
    const { body } = await post(server.fetch(server.tpp), `${server.mtlsOrigin}/token`, { form });
    return String(body['access_token']);
  }

  /** Of "web", whose tokens are bound to nothing. */
  async function unboundToken(): Promise<string> {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    const headers = basic('web', server.secrets.web);
    const { body } = await post(server.fetch(), `${server.issuer}/token`, { form, headers });
    return String(body['access_token']);
  }

  /** A key of "tpp" for `accounts`, unless said otherwise. */
  async function apiKey(more: object = {}): Promise<string> {
    const terms = {
      ...{ name: 'test', addresses: [], limit: undefined },
      permissions: { [accountsApi]: ['accounts'] },
      expiresAt: secondsFromNow(systemClock, 3600),
      ...more,
    };
    const { issuing } = server.running.app.apiKeys;
    const owner = { type: 'client', id: 'tpp' } as const;
    const made = await issuing.create({ owner, terms, idempotency: undefined }, owner);
    if ('faults' in made) throw new Error(JSON.stringify(made.faults));
    return made.secret ?? '';
  }

  return { withToken, machineToken, unboundToken, apiKey };
}

export type EdgeCallers = ReturnType<typeof edgeCallers>;

/** Status, error code and scheme of a refusal. */
export function refusal({ status, headers, body }: EdgeAnswer) {
  const challenge = String(headers['www-authenticate'] ?? '');
  return [status, body['error'], challenge.split(' ', 1)[0]];
}

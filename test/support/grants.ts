import * as openid from 'openid-client';
import { bankApi, chooseFirst, consentPageOf, intentRequest } from './consents.ts';
import type { Tpp, TppAnswer } from './consents.ts';
import { createCustomerAgent } from './customer-agent.ts';
import type { CustomerAgent } from './customer-agent.ts';
import { authorizationRequest } from './openid.ts';
import type { AuthorizationServer } from './server.ts';

/** The parameters by which a request manages a grant. */
export type Wish = Record<'grant_management_action', string> & { grant_id?: string };

export const create: Wish = { grant_management_action: 'create' };
export const merge = (id: string): Wish => ({ grant_management_action: 'merge', grant_id: id });
export const replace = (id: string): Wish => ({ grant_management_action: 'replace', grant_id: id });

/** A request for scopes alone; by default of the API with opaque tokens. */
export function scopeRequest(tpp: Tpp, parameters: Record<string, string>) {
  const { redirectUri: redirect_uri } = tpp;
  return authorizationRequest(tpp.configuration, {
    redirect_uri,
    resource: bankApi,
    ...parameters,
  });
}

/** A request that names a consent as the UK does. */
export function consentRequest(
  tpp: Tpp,
  consentId: string,
  parameters: Wish & { scope?: string; resource?: string },
) {
  return intentRequest(tpp, consentId, parameters);
}

type Request = Awaited<ReturnType<typeof scopeRequest>>;

/** What a customer does who allows a request: where the browser is sent. */
export async function allowed(
  server: AuthorizationServer,
  request: Pick<Request, 'url'>,
  agent: CustomerAgent = createCustomerAgent(server),
): Promise<URL> {
  const { page } = await consentPageOf(server, request.url, agent);
  if (page.html === '') return new URL(page.url);
  return new URL((await agent.submit(page, { ...chooseFirst(page), decision: 'allow' })).url);
}

/** The tokens of a request that a customer allowed. */
export async function tokensOf(
  server: AuthorizationServer,
  tpp: Tpp,
  request: Request,
): Promise<{ grantId: string; access: string; refresh: string; scope: string }> {
  const callback = await allowed(server, request);
  const error = callback.searchParams.get('error_description');
  if (error !== null) throw new Error(error);
  const answer = await openid.authorizationCodeGrant(tpp.configuration, callback, request.checks);
  return {
    grantId: answer['grant_id'] as string,
    access: answer.access_token,
    refresh: answer.refresh_token ?? '',
    scope: answer.scope ?? '',
  };
}

/** The error that the client's developers see. */
export async function refusalOf(
  server: AuthorizationServer,
  request: Pick<Request, 'url'>,
): Promise<string | null> {
  const page = await createCustomerAgent(server).open(request.url);
  return new URL(page.url).searchParams.get('error');
}

/** A GET at the grant management endpoint. */
export function query(tpp: Tpp, id: string, call: object = {}): Promise<TppAnswer> {
  return tpp.call('GET', `/grants/${id}`, { scope: 'grant_management_query', ...call });
}

/** A DELETE there. */
export function revoke(tpp: Tpp, id: string, call: object = {}): Promise<TppAnswer> {
  return tpp.call('DELETE', `/grants/${id}`, { scope: 'grant_management_revoke', ...call });
}

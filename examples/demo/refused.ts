import * as openid from 'openid-client';
import { expectTold, NotAsTold } from './narrator.ts';
import type { See } from './narrator.ts';

/** Expects that the authorization server answers with this OAuth error. */
export async function expectRefused(
  see: See,
  { what, error }: { what: string; error: string },
  request: Promise<unknown>,
): Promise<void> {
  try {
    await request;
  } catch (refusal) {
    if (!(refusal instanceof openid.ResponseBodyError)) throw refusal;
    expectTold(refusal.error === error, `${what}: refused with ${refusal.error}, not ${error}`);
    see(what, `refused: ${refusal.error}`);
    return;
  }
  throw new NotAsTold(`${what} was not refused`);
}

/** A call to the resource server. */
export interface ApiCall {
  what: string;
  url: string;
  token: string;
  fetch: typeof fetch;
}

/** Expects that the resource server answers 200, and gives back the JSON. */
export async function expectServed(see: See, call: ApiCall): Promise<unknown> {
  const response = await callApi(call);
  expectTold(response.status === 200, `${call.what}: ${String(response.status)} instead of 200`);
  see(call.what, '200');
  return response.json();
}

/** Expects that the resource server answers 401 `invalid_token`. */
export async function expectTurnedAway(see: See, call: ApiCall): Promise<void> {
  const { status, headers } = await callApi(call);
  expectTold(status === 401, `${call.what}: ${String(status)} instead of 401`);
  const challenge = headers.get('www-authenticate') ?? '';
  expectTold(challenge.includes('error="invalid_token"'), `${call.what}: ${challenge}`);
  const reason = /error_description="(?<text>[^"]*)"/.exec(challenge)?.groups?.['text'] ?? '';
  see(call.what, `401 invalid_token, ${reason}`);
}

function callApi({ url, token, fetch }: ApiCall): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}` } });
}

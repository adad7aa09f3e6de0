import { exchangeCode, newRequest, wishOf } from './lane.ts';
import type { Lane } from './lane.ts';

/** FAPI 2.0 as a bound client runs it: pushes the request, sends the customer's browser, exchanges the code. */
export async function pushAuthorizeAndExchange(lane: Lane): Promise<void> {
  const client = lane.fapiClient;
  const request = newRequest(wishOf(client));
  const { status, text } = await lane.mutual.post('/par', request.parameters);
  if (status !== 201) throw new Error(`not pushed: status ${String(status)}: ${text}`);
  const { request_uri } = JSON.parse(text) as { request_uri: string };
  const query = new URLSearchParams({ client_id: client, request_uri });
  const callback = await lane.signedIn.authorize(`/authorize?${query.toString()}`);
  await exchangeCode(lane, callback, request);
}

import type * as openid from 'openid-client';
import type { ClientCertificate } from '../resource-server/trusting-fetch.ts';
import { beginAuthorization, finishAuthorization, refresh, revoke } from '../tpp/tpp.ts';
import type { Customer } from './customer.ts';
import { expectTold, NotAsTold } from './narrator.ts';
import type { See } from './narrator.ts';
import { expectRefused, expectServed, expectTurnedAway } from './refused.ts';
import { boundThumbprint, showAccessToken } from './show.ts';
import { access } from './stage.ts';
import type { Apis } from './stage.ts';

type Tokens = Awaited<ReturnType<typeof finishAuthorization>>;

/** Who takes part when permissions end. */
export interface Actors {
  server: openid.Configuration;
  apis: Apis;
  tpp: ClientCertificate;
}

/** Exchanges the code, and shows what came. */
export async function exchangeCode(
  see: See,
  server: openid.Configuration,
  authorized: { callback: URL; checks: openid.AuthorizationCodeGrantChecks; thumbprint: string },
): Promise<Tokens> {
  const { callback, checks, thumbprint } = authorized;
  const tokens = await finishAuthorization(server, callback, checks);
  const claims = showAccessToken(see, tokens.access_token);
  expectTold(boundThumbprint(claims) === thumbprint, 'the token is bound to nothing');
  expectTold(tokens.claims()?.sub === claims.sub, 'ID token and access token differ in sub');
  see(
    'ID token',
    `the same customer, authenticated by ${JSON.stringify(tokens.claims()?.['amr'])}`,
  );
  see('refresh token', `${String(refreshTokenOf(tokens).length)} characters`);
  return tokens;
}

/** Gets a new access token. */
export async function refreshTokens(
  see: See,
  server: openid.Configuration,
  tokens: Tokens,
): Promise<Tokens> {
  const fresh = await refresh(server, refreshTokenOf(tokens));
  expectTold(fresh.access_token !== tokens.access_token, 'the access token is the old one');
  showAccessToken(see, fresh.access_token);
  const isKept = fresh.refresh_token === tokens.refresh_token;
  expectTold(isKept, 'the refresh token changed although it is bound to a certificate');
  return fresh;
}

/** Revokes one access token, then the refresh token and with it all that is left of the permission. */
export async function endPermission(
  see: See,
  { server, apis, tpp }: Actors,
  { first, refreshed }: { first: Tokens; refreshed: Tokens },
): Promise<void> {
  await revoke(server, refreshed.access_token);
  see('revoked', 'the newer access token');
  await expectInactive(see, apis, refreshed.access_token);
  await expectTurnedAway(see, apis.asking(refreshed.access_token, tpp));
  see('(an API that never introspects takes it until it expires, in minutes)');
  await expectServed(see, { ...apis.offline(first.access_token, tpp), what: 'the older one' });

  const refreshToken = refreshTokenOf(first);
  await revoke(server, refreshToken);
  see('revoked', 'the refresh token, and with it all that it gave');
  const refreshing = { what: 'refreshing', error: 'invalid_grant' };
  await expectRefused(see, refreshing, refresh(server, refreshToken));
  await expectInactive(see, apis, first.access_token);
  await expectTurnedAway(see, { ...apis.asking(first.access_token, tpp), what: 'the older one' });
}

/** Another authorization, whose code is presented twice (RFC 9700 §4.5). */
export async function replayCode(
  see: See,
  { server, apis, tpp }: Actors,
  customer: Customer,
): Promise<void> {
  const { url, checks } = await beginAuthorization(server, access);
  const callback = await customer.authorize(see, url);
  const tokens = await finishAuthorization(server, callback, checks);
  // Not by the one that asks: it remembers an answer for a second.
  await expectServed(see, apis.offline(tokens.access_token, tpp));
  const again = { what: 'the code again', error: 'invalid_grant' };
  await expectRefused(see, again, finishAuthorization(server, callback, checks));
  await expectTurnedAway(see, apis.asking(tokens.access_token, tpp));
  const refreshing = { what: 'refreshing', error: 'invalid_grant' };
  await expectRefused(see, refreshing, refresh(server, refreshTokenOf(tokens)));
}

async function expectInactive(see: See, apis: Apis, token: string): Promise<void> {
  expectTold(!(await apis.isActive(token)), 'introspection says that the token is active');
  see('introspection', 'active: false');
}

function refreshTokenOf({ refresh_token: token }: Tokens): string {
  if (token === undefined) throw new NotAsTold('there is no refresh token');
  return token;
}

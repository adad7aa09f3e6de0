import { sampleCustomer } from '../../src/development/sample-data.ts';
import { beginAuthorization, clientCredentials } from '../tpp/tpp.ts';
import { findOrStartServer } from './authorization-server.ts';
import type { ServerPlace } from './authorization-server.ts';
import { sitDown } from './customer.ts';
import { endPermission, exchangeCode, refreshTokens, replayCode } from './customer-tokens.ts';
import { expectTold } from './narrator.ts';
import type { Narrator } from './narrator.ts';
import { expectServed, expectTurnedAway } from './refused.ts';
import { boundThumbprint, showAccessToken, showCertificate } from './show.ts';
import { access, connectTpp, startApis } from './stage.ts';
import { readWorld } from './world.ts';

/** The whole story in the order in which it happens. Rejects at the first step that is not as told. */
export async function tellStory(narrator: Narrator, place: ServerPlace): Promise<void> {
  const { world, server } = await narrator.step('The authorization server is up', async (see) => {
    await findOrStartServer(see, place);
    const found = readWorld(place.configuration);
    return { world: found, server: await connectTpp(found) };
  });

  const thumbprint = await narrator.step('The TPP has a certificate', (see) =>
    Promise.resolve(showCertificate(see, world.tpp.cert)),
  );

  await narrator.step('With it the TPP gets a token for itself', async (see) => {
    const { resource } = access;
    const { access_token: token } = await clientCredentials(server, {
      resource,
      scope: 'accounts',
    });
    const bound = boundThumbprint(showAccessToken(see, token));
    expectTold(bound === thumbprint, 'the token is not bound to the certificate');
    see('its cnf is the thumbprint of the certificate: nobody else can use it');
  });

  const { customer, begun, callback } = await narrator.step(
    'The customer logs in and consents, in a real browser',
    async (see) => {
      const { redirectUri } = access;
      const credentials = { ...sampleCustomer, password: world.customerPassword };
      const { cleanup } = place;
      const sitting = await sitDown({ credentials, redirectUri, tls: world.server, cleanup });
      const request = await beginAuthorization(server, access);
      const arrived = await sitting.authorize(see, request.url);
      return { customer: sitting, begun: request, callback: arrived };
    },
  );

  const tokens = await narrator.step('The TPP exchanges the code for tokens, with PKCE', (see) =>
    exchangeCode(see, server, { callback, checks: begun.checks, thumbprint }),
  );

  const apis = await narrator.step("The bank's API serves the TPP over mTLS", async (see) => {
    const started = await startApis(world, place.cleanup);
    const body = await expectServed(see, started.offline(tokens.access_token, world.tpp));
    see('accounts', JSON.stringify(body));
    return started;
  });

  await narrator.step('The same token with another certificate is refused', async (see) => {
    const { access_token: token } = tokens;
    const foreign = apis.offline(token, world.otherTpp);
    await expectTurnedAway(see, { ...foreign, what: 'other certificate' });
    await expectTurnedAway(see, { ...apis.offline(token), what: 'no certificate' });
  });

  const refreshed = await narrator.step('The TPP refreshes', async (see) => {
    const fresh = await refreshTokens(see, server, tokens);
    await expectServed(see, apis.offline(fresh.access_token, world.tpp));
    return fresh;
  });

  const actors = { server, apis, tpp: world.tpp };
  await narrator.step('The TPP revokes, and everything is refused', (see) =>
    endPermission(see, actors, { first: tokens, refreshed }),
  );

  await narrator.step('A stolen code, used again, ends what it gave', (see) =>
    replayCode(see, actors, customer),
  );
}

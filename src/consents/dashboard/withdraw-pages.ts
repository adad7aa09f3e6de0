import type Koa from 'koa';
import type { SignedIn } from '../../http/account-door.ts';
import { confirmationSentences } from '../../http/account-sentences.ts';
import type { Consent } from '../consent-codec.ts';
import {
  clientNameOf,
  factsOf,
  goTo,
  isRefused,
  ownConsent,
  pathOf,
  sentencesOf,
  wordsFor,
} from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';

/** Asks once whether to end a consent, and ends it with everything under it. */
export function createWithdrawPages(deps: DashboardDependencies) {
  const { door, displayName, pages } = deps;
  return {
    async show(ctx: Koa.Context): Promise<void> {
      const signedIn = await door.enter(ctx);
      if (signedIn === undefined) return;
      const consent = await ownConsent(ctx, signedIn, deps);
      const path = pathOf(consent);
      if (consent.state !== 'authorised') {
        goTo(ctx, path);
        return;
      }
      pages.show(ctx, {
        page: 'account-confirm',
        data: {
          accountName: await displayName(signedIn.customerId),
          ...(await shownOf(ctx, consent, deps)),
          ...{ action: `${path}/withdraw`, backUrl: path, csrfToken: door.token(signedIn) },
        },
        languagePath: `${path}/withdraw`,
      });
    },

    async submit(ctx: Koa.Context): Promise<void> {
      const received = await door.receive(ctx, { back: ctx.path });
      if (received === undefined) return;
      const consent = await ownConsent(ctx, received.signedIn, deps);
      await withdraw(ctx, { consent, signedIn: received.signedIn }, deps);
      goTo(ctx, `${pathOf(consent)}?done=withdrawn`);
    },
  };
}

async function shownOf(ctx: Koa.Context, consent: Consent, deps: DashboardDependencies) {
  const kind: 'withdraw' | 'withdraw-payment' =
    consent.type === 'payment' ? 'withdraw-payment' : 'withdraw';
  return { kind, client: await clientNameOf(consent, wordsFor(ctx, deps), deps) };
}

/** Who presses twice, or comes late, finds it ended: that is what they wanted. */
async function withdraw(
  ctx: Koa.Context,
  { consent, signedIn }: { consent: Consent; signedIn: SignedIn },
  deps: DashboardDependencies,
): Promise<void> {
  const { id, clientId, customerId } = consent;
  const words = wordsFor(ctx, deps);
  const page = confirmationSentences(await shownOf(ctx, consent, deps), sentencesOf(words));
  const shown = { locale: words.tag, text: JSON.stringify(page) };
  try {
    await deps.consents.move(id, 'revoke', factsOf(signedIn, { shown, reason: 'customer' }));
  } catch (error) {
    if (isRefused(error, 'consent_state')) return;
    throw error;
  }
  deps.audit.record({
    ...{ type: 'consent.revoked', outcome: 'success', clientId },
    ...(customerId === undefined ? {} : { customerId }),
    actor: { type: 'customer', id: signedIn.customerId },
    detail: { consent: id, by: 'customer' },
  });
}

import type Router from '@koa/router';
import type Koa from 'koa';
import type { Interactions, PendingInteraction } from './interactions.ts';
import { interactionPath } from './interactions.ts';

interface Page {
  show(ctx: Koa.Context, pending: PendingInteraction): void | Promise<void>;
}

/** Shows the page that an interaction is waiting for. */
export function dispatchInteraction(
  router: Router,
  pages: {
    interactions: Pick<Interactions, 'pending' | 'askForLogin'>;
    login: Page;
    consent: Page;
  },
): void {
  router.get(`${interactionPath}/:uid`, async (ctx) => {
    ctx.state['route'] = 'interaction';
    const pending = await pages.interactions.pending(ctx);
    if (pending.resumeUrl !== undefined) {
      ctx.status = 303;
      ctx.redirect(pending.resumeUrl);
      return;
    }
    await pages[pending.prompt].show(ctx, pending);
  });
  router.get(`${interactionPath}/:uid/switch`, (ctx) => pages.interactions.askForLogin(ctx));
  // What the address bar shows after a refused form; whoever opens it means the page.
  router.get([`${interactionPath}/:uid/login`, `${interactionPath}/:uid/consent`], (ctx) => {
    ctx.status = 303;
    ctx.redirect(`${interactionPath}/${encodeURIComponent(ctx.params['uid'] ?? '')}`);
  });
}

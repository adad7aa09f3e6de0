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
  pages: { interactions: Pick<Interactions, 'pending'>; login: Page; consent: Page },
): void {
  router.get(`${interactionPath}/:uid`, async (ctx) => {
    ctx.state['route'] = 'interaction';
    const pending = await pages.interactions.pending(ctx);
    await pages[pending.prompt].show(ctx, pending);
  });
}

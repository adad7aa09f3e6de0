import type Router from '@koa/router';
import { appEndPath, createAppPages } from './app-pages.ts';
import { createChangePages } from './change-pages.ts';
import { createDetailPage } from './detail-pages.ts';
import { createOverviewPage } from './overview-pages.ts';
import { consentsPath } from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';
import { createWithdrawPages } from './withdraw-pages.ts';

/** The pages on which customers see, change and end what they allowed (ASVS 10.7.3). */
export function addDashboardRoutes(router: Router, deps: DashboardDependencies): void {
  const one = `${consentsPath}/:reference`;
  const change = createChangePages(deps);
  const withdraw = createWithdrawPages(deps);
  const apps = createAppPages(deps);
  router.get('/account', (ctx) => {
    ctx.status = 303;
    ctx.redirect(consentsPath); // who types an address types this one
  });
  router.get(consentsPath, createOverviewPage(deps));
  router.get(one, createDetailPage(deps));
  router.get(`${one}/change`, (ctx) => change.show(ctx));
  router.post(`${one}/change`, (ctx) => change.submit(ctx));
  router.get(`${one}/withdraw`, (ctx) => withdraw.show(ctx));
  router.post(`${one}/withdraw`, (ctx) => withdraw.submit(ctx));
  router.get(appEndPath, (ctx) => apps.show(ctx));
  router.post(appEndPath, (ctx) => apps.submit(ctx));
}

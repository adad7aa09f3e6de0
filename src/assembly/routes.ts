import Router from '@koa/router';
import { createConsentPages } from '../consents/consent-pages.ts';
import { createDecisionPages } from '../consents/decision-pages.ts';
import { createLoginPages } from '../customers/login-pages.ts';
import { createLogin } from '../customers/login.ts';
import { createGrantDecisions } from '../provider/grants/grant-decisions.ts';
import { dispatchInteraction } from '../provider/pages/interaction-routes.ts';
import { createInteractions } from '../provider/pages/interactions.ts';
import { acceptByPost } from '../provider/pages/posted-pages.ts';
import { addAccountPages } from './account.ts';
import { accountsFrom, consentsForEngine } from './consents.ts';
import { developmentParts } from './development.ts';
import { loginGuard } from './login-guard.ts';
import type { Parts } from './parts.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** The hosted pages, and what exists in development only. */
export function createRoutes(settings: AppSettings, deps: AppDependencies, parts: Parts): Router {
  const { issuer, lifetimes } = settings;
  const { metrics, clock } = deps;
  const { storage, hosting, engine, passwords } = parts;
  const { audit, artifacts, clients, resourceServers, customers } = storage;
  const { pages, csrf } = hosting;
  const provider = () => engine.current();
  const grants = createGrantDecisions({
    ...{ store: storage.managedGrants, artifacts, audit, clock },
    consents: consentsForEngine(storage, clock),
    grantSeconds: lifetimes.refreshToken,
  });
  const interactions = createInteractions({
    ...{ provider, artifacts, clients, resourceServers, grants, clock },
  });

  function onOutcome(outcome: string): void {
    metrics.logins.increment({ outcome });
  }
  const guard = loginGuard(settings, deps, parts);
  const login = createLogin({ customers, passwords, guard, audit, onOutcome });
  const loginPages = createLoginPages({
    ...{ issuer, interactions, login, pages, csrf, audit },
    onCancelled() {
      onOutcome('cancelled');
    },
  });

  async function displayName(id: string): Promise<string | undefined> {
    const profile = (await customers.find(id))?.profile;
    return profile?.name ?? profile?.username;
  }
  const { consents } = storage;
  const accountsOf = accountsFrom(settings);
  const consentPages = createConsentPages({
    decisions: createDecisionPages({
      ...{ interactions, consents, accountsOf, displayName, pages, csrf, audit },
      bank: settings.brand.name,
      async registrationOf(id) {
        const { metadata, permissions, source } = (await clients.find(id)) ?? {};
        return metadata && { source, metadata, permissions };
      },
    }),
    issuer,
    interactions,
    displayName,
    pages,
    csrf,
    audit,
    clock,
    grantTtlSeconds: lifetimes.refreshToken,
  });

  const router = new Router();
  dispatchInteraction(router, { interactions, login: loginPages, consent: consentPages });
  loginPages.addRoutes(router);
  consentPages.addRoutes(router);
  addAccountPages(router, settings, { ...deps, ...parts, login, accountsOf, displayName });
  acceptByPost(router, issuer);
  settings.developmentRoutes?.(router, developmentParts(settings, deps, parts));
  return router;
}

import type Router from '@koa/router';
import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import { bounds } from '../bounds.ts';
import { secondsFromNow } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Csrf } from '../http/csrf.ts';
import type { Pages } from '../http/pages.ts';
import { readStepForm } from '../http/step-form.ts';
import { Problem } from '../problem.ts';
import { scopeSentence } from './consent-words.ts';
import type { DecisionPages, PendingDecision } from './decision-pages.ts';

interface Pending extends PendingDecision {
  /** The consent object to decide; undefined where scopes alone are asked for. */
  consentId: string | undefined;
  resumeUrl: string | undefined;
}

interface Access {
  openidScopes: string[];
  resources: {
    name: string;
    scopes: { name: string; sentences: Readonly<Record<string, string>> }[];
  }[];
}

/** The authorization request to decide; the provider's interactions fit. */
export interface ConsentInteractions {
  pending(ctx: Koa.Context): Promise<Pending & { prompt: string }>;
  requestedAccess(ctx: Koa.Context): Promise<Access>;
  allow(ctx: Koa.Context): Promise<void>;
  deny(ctx: Koa.Context, description: string): Promise<void>;
}

interface Dependencies {
  issuer: string;
  interactions: ConsentInteractions;
  /** How a customer is greeted: name or user name. */
  displayName: (customerId: string) => Promise<string | undefined>;
  pages: Pages;
  csrf: Csrf;
  audit: { record(entry: AuditEntry): void };
  clock: Clock;
  /** How long what is allowed lasts at most. */
  grantTtlSeconds: number;
  /** For requests that are about a consent object. */
  decisions: DecisionPages;
}

/** The consent page of an authorization request. */
export interface ConsentPages {
  show(ctx: Koa.Context, pending: Pending): Promise<void>;
  addRoutes(router: Router): void;
}

/** Who asks, for what and how long; allow and refuse weigh the same. */
export function createConsentPages(dependencies: Dependencies): ConsentPages {
  const { interactions, issuer, csrf, decisions } = dependencies;
  async function submit(ctx: Koa.Context): Promise<void> {
    ctx.state['route'] = 'consent';
    const pending = (context: Koa.Context) => interactions.pending(context);
    const step = await readStepForm(ctx, {
      ...{ issuer, csrf, prompt: 'consent', pending },
      maxFields: bounds.forms.maxFieldsOfDecision,
    });
    if (step === undefined) return;
    const { consentId } = step.pending;
    if (consentId !== undefined) {
      await decisions.submit(ctx, step.pending, { consentId, fields: step.form });
      return;
    }
    const { decision } = step.form;
    await decide(ctx, step.pending, { decision, dependencies });
  }

  return {
    show: (ctx, pending) =>
      pending.consentId === undefined
        ? show(ctx, pending, dependencies)
        : decisions.show(ctx, pending, pending.consentId),
    addRoutes(router) {
      router.post('/interaction/:uid/consent', submit);
    },
  };
}

async function decide(
  ctx: Koa.Context,
  pending: Pending,
  { decision, dependencies }: { decision: string | undefined; dependencies: Dependencies },
): Promise<void> {
  const { interactions, audit } = dependencies;
  switch (decision) {
    case 'allow':
      await interactions.allow(ctx);
      audit.record(entry(pending, { type: 'consent.given', outcome: 'success' }));
      return;
    case 'deny':
      await interactions.deny(ctx, 'the customer refused access');
      audit.record(entry(pending, { type: 'authorization.denied', outcome: 'refused' }));
      return;
    case 'switch':
      ctx.status = 303;
      ctx.redirect(pending.switchUrl);
      return;
    default:
      throw new Problem('invalid_request', { detail: 'the form has no decision' });
  }
}

function entry(pending: Pending, what: Pick<AuditEntry, 'type' | 'outcome'>): AuditEntry {
  const { clientId, customerId } = pending;
  if (customerId === undefined) return { ...what, actor: { type: 'customer' }, clientId };
  return { ...what, actor: { type: 'customer', id: customerId }, clientId, customerId };
}

async function show(ctx: Koa.Context, pending: Pending, dependencies: Dependencies): Promise<void> {
  const { interactions, pages, csrf, clock, displayName, grantTtlSeconds } = dependencies;
  const access = await interactions.requestedAccess(ctx);
  const locale = pages.localeOf(ctx, pending.uiLocales);
  const { customerId } = pending;
  const data = {
    action: `/interaction/${pending.uid}/consent`,
    csrfToken: csrf.token(pending.uid),
    clientName: pending.clientName,
    clientUri: pending.clientUri,
    accountName: customerId === undefined ? undefined : await displayName(customerId),
    resources: access.resources.map(({ name, scopes }) => ({
      name,
      permissions: scopes.map((scope) => scopeSentence(scope, locale)),
    })),
    claims: access.openidScopes.filter((scope) => scope !== 'openid'),
    until: secondsFromNow(clock, grantTtlSeconds),
    redirectHost: hostOf(pending.redirectUri),
  };
  pages.show(ctx, {
    page: 'consent',
    data,
    formActions: [pending.redirectUri],
    uiLocales: pending.uiLocales,
    languagePath: `/interaction/${pending.uid}`,
  });
}

/** Where the customer is sent: a host, or an app's scheme. */
function hostOf(redirectUri: string): string {
  const url = URL.parse(redirectUri);
  if (url === null) return redirectUri;
  return url.host === '' ? url.protocol.replace(/:$/, '') : url.host;
}

import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { Interaction, InteractionResults } from 'oidc-provider';
import { errors, interactionPolicy } from 'oidc-provider';
import { Problem } from '../problem.ts';
import { claimsByScope } from './accounts.ts';
import type { ArtifactStore } from './artifact-store.ts';
import type { Clients, ResourceServers, Share } from './ports.ts';
import { routes } from './routes.ts';

/** Where the pages of an interaction live; the cookie is bound to this path. */
export const interactionPath = '/interaction';

/** One authentication level is offered yet: a password. */
const passwordAcr = 'urn:countersign:acr:password';

/** What a page may know of the authorization request that brought the customer. */
export interface PendingInteraction {
  uid: string;
  /** What is asked for now. */
  prompt: 'login' | 'consent';
  clientId: string;
  clientName: string;
  clientUri: string | undefined;
  redirectUri: string;
  customerId: string | undefined;
  loginHint: string | undefined;
  uiLocales: string | undefined;
  /** The authorization request again, with a login demanded. */
  switchUrl: string;
  /** Where an answer goes on that was given already, but whose redirect the browser has not followed. */
  resumeUrl: string | undefined;
}

/** What the client asks the customer for. */
export interface RequestedAccess {
  openidScopes: string[];
  resources: {
    name: string;
    scopes: { name: string; sentences: Readonly<Record<string, string>> }[];
  }[];
}

/** The provider's side of the hosted pages; pages declare the part that they need. */
export interface Interactions {
  /** The interaction of this browser. Problem('interaction_not_found') for any other. */
  pending(ctx: Koa.Context): Promise<PendingInteraction>;
  /** What the consent page has to show. */
  requestedAccess(ctx: Koa.Context): Promise<RequestedAccess>;
  /** Goes on as `customerId`. Problem('interaction_used') when the step was taken already. */
  login(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
  /** Grants all that was asked for and goes on. */
  allow(ctx: Koa.Context): Promise<void>;
  /** Sends the customer back with `access_denied`. */
  deny(ctx: Koa.Context, description: string): Promise<void>;
}

interface Dependencies {
  provider: () => Provider;
  artifacts: Pick<ArtifactStore, 'claimInteraction' | 'releaseInteraction'>;
  clients: Pick<Clients, 'metadataOf'>;
  resourceServers: Pick<ResourceServers, 'find'>;
}

type Decision = (interaction: Interaction) => InteractionResults | Promise<InteractionResults>;

/** Interactions of the current provider instance. */
export function createInteractions(dependencies: Dependencies): Interactions {
  const { provider, artifacts } = dependencies;

  async function details(ctx: Koa.Context): Promise<Interaction> {
    try {
      return await provider().interactionDetails(ctx.req, ctx.res);
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
      throw new Problem('interaction_not_found', { cause: error });
    }
  }

  /** Only who claims the step decides it; what fails after that gives the claim back. */
  async function finish(ctx: Koa.Context, decide: Decision): Promise<void> {
    const interaction = await details(ctx);
    const { uid } = interaction;
    if (!(await artifacts.claimInteraction(uid))) throw new Problem('interaction_used');
    try {
      const result = await decide(interaction);
      const mergeWithLastSubmission = !('login' in result);
      const options = { mergeWithLastSubmission };
      const returnTo = await provider().interactionResult(ctx.req, ctx.res, result, options);
      ctx.status = 303;
      ctx.redirect(returnTo);
    } catch (error) {
      await artifacts.releaseInteraction(uid);
      throw error;
    }
  }

  return {
    async pending(ctx) {
      return describe(await details(ctx), dependencies);
    },

    async requestedAccess(ctx) {
      return requestedAccess(await details(ctx), dependencies);
    },

    login: (ctx, { customerId, amr }) =>
      finish(ctx, () => ({
        login: { accountId: customerId, acr: passwordAcr, amr, remember: true },
      })),

    allow: (ctx) =>
      finish(ctx, async (interaction) => ({
        consent: { grantId: await saveGrant(provider(), interaction) },
      })),

    deny: (ctx, description) =>
      finish(ctx, () => ({ error: 'access_denied', error_description: description })),
  };
}

async function describe(
  interaction: Interaction,
  { provider, clients }: Dependencies,
): Promise<PendingInteraction> {
  const parameters = interaction.params;
  const clientId = String(parameters['client_id']);
  const metadata = await clients.metadataOf(clientId);
  if (metadata === undefined) throw new Problem('interaction_not_found', { detail: 'client gone' });
  return {
    uid: interaction.uid,
    prompt: interaction.prompt.name === 'consent' ? 'consent' : 'login',
    clientId,
    clientName: metadata.client_name ?? clientId,
    clientUri: metadata.client_uri,
    redirectUri: String(parameters['redirect_uri']),
    customerId: interaction.session?.accountId,
    loginHint: text(parameters['login_hint']),
    uiLocales: text(parameters['ui_locales']),
    switchUrl: againWithLogin(provider().issuer, parameters),
    resumeUrl: interaction.result === undefined ? undefined : interaction.returnTo,
  };
}

function againWithLogin(issuer: string, parameters: Record<string, unknown>): string {
  const url = new URL(routes.authorization, issuer);
  for (const [name, value] of Object.entries(parameters)) {
    for (const item of [value].flat()) url.searchParams.append(name, String(item));
  }
  url.searchParams.set('prompt', 'login');
  return url.href;
}

interface Missing {
  missingOIDCScope?: string[];
  missingOIDCClaims?: string[];
  missingResourceScopes?: Record<string, string[]>;
}

async function requestedAccess(
  interaction: Interaction,
  { resourceServers }: Dependencies,
): Promise<RequestedAccess> {
  const missing = interaction.prompt.details as Missing;
  const resources = Object.entries(missing.missingResourceScopes ?? {}).map(
    async ([identifier, names]) => {
      const audience = await resourceServers.find(identifier);
      const scopes = names.map((name) => ({ name, sentences: audience?.scopes[name] ?? {} }));
      return { name: audience?.name ?? identifier, scopes };
    },
  );
  return {
    openidScopes: openidScopesOf(missing),
    resources: await Promise.all(resources),
  };
}

/** Claims that are asked for one by one (OpenID Connect Core §5.5) are shown as the scope that opens them too. */
function openidScopesOf({ missingOIDCScope = [], missingOIDCClaims = [] }: Missing): string[] {
  const opening = Object.entries(claimsByScope)
    .filter(([, claims]) => claims.some((claim) => missingOIDCClaims.includes(claim)))
    .map(([scope]) => scope);
  return [...new Set([...missingOIDCScope, ...opening])];
}

/** A new grant with all that is missing, or the one of this session and client with it added. */
async function saveGrant(provider: Provider, interaction: Interaction): Promise<string> {
  const missing = interaction.prompt.details as Missing;
  const existing =
    interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const accountId = interaction.session?.accountId;
  if (accountId === undefined)
    throw new Problem('interaction_not_found', { detail: 'no customer' });
  const clientId = String(interaction.params['client_id']);
  const grant = existing ?? new provider.Grant({ accountId, clientId });
  if (missing.missingOIDCScope !== undefined)
    grant.addOIDCScope(missing.missingOIDCScope.join(' '));
  if (missing.missingOIDCClaims !== undefined) grant.addOIDCClaims(missing.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missing.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return grant.save();
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Interaction pages and when they are shown. */
export function interactionShare(): Share {
  return {
    acrValues: [passwordAcr],
    interactions: {
      policy: policy(),
      url: (_ctx, interaction) => `${interactionPath}/${interaction.uid}`,
    },
    features: { devInteractions: { enabled: false } },
    /**
     * A confidential client gets what this customer already allowed it in this session; a public one, whose identity
     * nobody has proven, has to ask each time (ASVS 10.7.1).
     */
    async loadExistingGrant(ctx) {
      const { client, provider, result, session } = ctx.oidc;
      if (client === undefined) return undefined;
      const consented = result?.consent?.grantId;
      const known =
        client.clientAuthMethod === 'none' ? undefined : session?.grantIdFor(client.clientId);
      const grantId = consented ?? known;
      return grantId === undefined ? undefined : provider.Grant.find(grantId);
    },
  };
}

/** oidc-provider goes on with a session whose customer is gone or suspended, and fails; here they have to log in. */
function policy(): interactionPolicy.DefaultPolicy {
  const { base, Check } = interactionPolicy;
  const prompts = base();
  const hasNoAccount = new Check(
    'no_account',
    'End-User account is not available',
    'login_required',
    ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
  );
  prompts.get('login')?.checks.add(hasNoAccount, 0);
  return prompts;
}

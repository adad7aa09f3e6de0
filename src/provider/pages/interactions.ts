import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { Client, Interaction, InteractionResults, KoaContextWithOIDC } from 'oidc-provider';
import { errors, interactionPolicy } from 'oidc-provider';
import { epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import type { ArtifactStore } from '../storage/artifact-store.ts';
import { offeredAcrs, passwordAcr } from './authentication-context.ts';
import { addConsentChecks, consentOfInteraction } from '../grants/consent-grants.ts';
import { namesConsent } from '../requests/consent-requests.ts';
import type { GrantDecisions } from '../grants/grant-decisions.ts';
import { decidedGrant } from '../grants/decided-grant.ts';
import { describeAccess } from '../grants/described-access.ts';
import type { Access } from '../grants/described-access.ts';
import { grantScopes, grantUnderConsent } from '../grants/granted-interactions.ts';
import { findGrant } from '../grants/managed-id.ts';
import { addGrantChecks, wishOf } from '../grants/wish-checks.ts';
import type { WishRules } from '../grants/wish-checks.ts';
import type { AuthorizationDetail, Clients, Consents, ResourceServers, Share } from '../ports.ts';
import { routes } from '../routes.ts';

/** Where the pages of an interaction live; the cookie is bound to this path. */
export const interactionPath = '/interaction';

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
  /** The consent object to decide; undefined where scopes alone are asked for. */
  consentId: string | undefined;
  /** How the customer logged in. */
  authentication: { acr?: string | undefined; amr: readonly string[]; at: Date | undefined };
  loginHint: string | undefined;
  uiLocales: string | undefined;
  /** Where another customer can log in to go on with this request. */
  switchUrl: string;
  /** Where an answer goes on that was given already, but whose redirect the browser has not followed. */
  resumeUrl: string | undefined;
}

/** The provider's side of the hosted pages; pages declare the part that they need. */
export interface Interactions {
  /** The interaction of this browser. Problem('interaction_not_found') for any other. */
  pending(ctx: Koa.Context): Promise<PendingInteraction>;
  /** What the consent page has to show. */
  requestedAccess(ctx: Koa.Context): Promise<Access>;
  /** Goes on as `customerId`. Problem('interaction_used') when the step was taken already. */
  login(ctx: Koa.Context, login: { customerId: string; amr: string[] }): Promise<void>;
  /** Grants all that was asked for and goes on. */
  allow(ctx: Koa.Context): Promise<void>;
  /**
   * Goes on with the consent object that the request is about. `authorise` moves it, and gives the authorization detail that
   * tokens will carry; what it throws leaves everything as it was.
   */
  allowConsent(ctx: Koa.Context, authorise: () => Promise<AuthorizationDetail>): Promise<void>;
  /** Asks for a login once more, so that another customer can go on. */
  askForLogin(ctx: Koa.Context): Promise<void>;
  /** Sends the customer back with `access_denied`. */
  deny(ctx: Koa.Context, description: string, reject?: () => Promise<unknown>): Promise<void>;
}

interface Dependencies {
  provider: () => Provider;
  artifacts: Pick<ArtifactStore, 'claimInteraction' | 'releaseInteraction'>;
  clients: Pick<Clients, 'metadataOf'>;
  resourceServers: Pick<ResourceServers, 'find'>;
  /** Decides about grants that clients manage. */
  grants: GrantDecisions;
  clock: Clock;
}

type Decision = (interaction: Interaction) => InteractionResults | Promise<InteractionResults>;

/** Interactions of the current provider instance. */
export function createInteractions(dependencies: Dependencies): Interactions {
  const { provider, artifacts, grants } = dependencies;
  const ground = () => ({ provider: provider(), grants });

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

    allow: (ctx) => finish(ctx, (interaction) => grantScopes(interaction, ground())),

    allowConsent: (ctx, authorise) =>
      finish(ctx, (interaction) => grantUnderConsent(interaction, { ...ground(), authorise })),

    async askForLogin(ctx) {
      const interaction = await details(ctx);
      // One that was answered already is on its way to the client.
      if (interaction.result === undefined) {
        interaction.prompt = { name: 'login', reasons: ['another_customer'], details: {} };
        await interaction.save(Math.max(1, interaction.exp - epochSeconds(dependencies.clock)));
      }
      ctx.status = 303;
      ctx.redirect(`${interactionPath}/${interaction.uid}`);
    },

    deny: (ctx, description, reject) =>
      finish(ctx, async () => {
        await reject?.();
        return { error: 'access_denied', error_description: description };
      }),
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
    consentId: consentOfInteraction(interaction),
    authentication: await authenticationOf(interaction, provider()),
    loginHint: text(parameters['login_hint']),
    uiLocales: text(parameters['ui_locales']),
    switchUrl: switchUrlOf(interaction, provider().issuer),
    resumeUrl: interaction.result === undefined ? undefined : interaction.returnTo,
  };
}

/** When the login was, the session alone knows; looked up where it is kept with a decision. */
async function authenticationOf(
  interaction: Interaction,
  provider: Provider,
): Promise<PendingInteraction['authentication']> {
  const { session } = interaction;
  const { acr, amr = [] } = (session ?? {}) as { acr?: string; amr?: string[] };
  const isKept = session !== undefined && consentOfInteraction(interaction) !== undefined;
  const found = isKept ? await provider.Session.findByUid(session.uid) : undefined;
  const loginTs = found?.loginTs;
  return { acr, amr, at: loginTs === undefined ? undefined : new Date(loginTs * 1000) };
}

/** The same request with a login demanded; one that was pushed can't be changed, so its interaction is. */
function switchUrlOf(interaction: Interaction, issuer: string): string {
  const { uid, params: parameters } = interaction;
  return 'parJti' in interaction && interaction.parJti !== undefined
    ? `${interactionPath}/${uid}/switch`
    : againWithLogin(issuer, parameters);
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

function requestedAccess(
  { prompt }: Pick<Interaction, 'prompt'>,
  { resourceServers }: Dependencies,
): Promise<Access> {
  const missing = prompt.details as Missing;
  const { missingOIDCScope: openidScopes = [], missingOIDCClaims: claims = [] } = missing;
  const { missingResourceScopes: resources = {} } = missing;
  return describeAccess({ openidScopes, claims, resources }, resourceServers);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

interface GrantRules {
  consents: Consents;
  wishes: WishRules;
}

/** Interaction pages and when they are shown. */
export function interactionShare(rules: GrantRules & { consentsRequired: boolean }): Share {
  const { consents, consentsRequired: required, wishes } = rules;
  return {
    acrValues: [...offeredAcrs],
    interactions: {
      policy: policy({ consents, required, wishes }),
      url: (_ctx, interaction) => `${interactionPath}/${interaction.uid}`,
    },
    features: { devInteractions: { enabled: false } },
    /**
     * A confidential client gets what this customer already allowed it in this session; a public one, whose identity
     * nobody has proven, has to ask each time (ASVS 10.7.1). What was allowed under a consent object, or in a grant that the
     * client manages, is no part of it.
     */
    loadExistingGrant: (ctx) => existingGrant(ctx, rules),
  };
}

async function existingGrant({ oidc }: KoaContextWithOIDC, rules: GrantRules) {
  const { client, provider, result } = oidc;
  if (client === undefined) return undefined;
  const decided = result?.consent?.grantId;
  if (decided !== undefined) return decidedGrant(oidc, decided, rules);
  const remembered = rememberedGrant(oidc, client, rules.consents);
  const grant = remembered === undefined ? undefined : await findGrant(provider, remembered);
  return grant?.managedId === undefined ? grant : undefined;
}

function rememberedGrant(
  oidc: KoaContextWithOIDC['oidc'],
  client: Client,
  consents: Consents,
): string | undefined {
  const { params, session } = oidc;
  const isNew =
    client.clientAuthMethod === 'none' || namesConsent(params ?? {}) || wishOf(oidc) !== undefined;
  const known = isNew ? undefined : session?.grantIdFor(client.clientId);
  return consents.isId(known) ? undefined : known;
}

/** oidc-provider goes on with a session whose customer is gone or suspended, and fails; here they have to log in. */
function policy(rules: GrantRules & { required: boolean }): interactionPolicy.DefaultPolicy {
  const { base, Check } = interactionPolicy;
  const prompts = base();
  const hasNoAccount = new Check(
    'no_account',
    'End-User account is not available',
    'login_required',
    ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
  );
  prompts.get('login')?.checks.add(hasNoAccount, 0);
  addConsentChecks(prompts, rules);
  addGrantChecks(prompts, rules.wishes);
  return prompts;
}

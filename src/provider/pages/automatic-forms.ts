import type Koa from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { ProviderPages } from '../ports.ts';

/** A page that the browser is to send on by itself, and what is sent. */
export interface AutomaticForm {
  /** Absolute address. */
  action: string;
  fields: { name: string; value: string }[];
  /** Every origin at which the form may end, by its own target or by redirects. */
  formActions: string[];
}

/** What tells oidc-provider's own page from all others (its `response_modes/form_post.js`). */
const mark = '<title>Submitting Callback</title>';

/**
 * Draws the form of `response_mode=form_post`, and those that change the account or sign out somebody who is not
 * signed in, as a hosted page. oidc-provider's page has an inline script, no language and no heading, and its policy
 * does not let the form reach the client: Chromium applies `form-action` to redirects as well.
 */
export function hostAutomaticForms(pages: Pick<ProviderPages, 'carryOn'>): Koa.Middleware {
  return async function hostAutomaticForm(ctx, next) {
    await next();
    if (typeof ctx.body !== 'string' || !ctx.body.includes(mark)) return;
    const form = readForm(ctx.body);
    if (form === undefined) return;
    const formActions = [form.action, ...targetsOf(ctx as unknown as KoaContextWithOIDC)];
    pages.carryOn(ctx, { ...form, formActions });
  };
}

function readForm(html: string): Pick<AutomaticForm, 'action' | 'fields'> | undefined {
  const action = /<form method="post" action="([^"]*)">/.exec(html)?.[1];
  if (action === undefined) return undefined;
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g);
  const fields = [...inputs].map(([, name = '', value = '']) => ({ name, value: plain(value) }));
  return { action: plain(action), fields };
}

/** Where our own endpoint sends the browser after the form: both were checked against the client before. */
function targetsOf({ oidc }: KoaContextWithOIDC): string[] {
  const afterLogout = oidc.params?.['post_logout_redirect_uri'];
  const afterLogin = oidc.entities.Interaction?.params['redirect_uri'];
  return [afterLogout, afterLogin].filter((uri) => typeof uri === 'string');
}

const entities: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&amp;': '&',
};

function plain(escaped: string): string {
  return escaped.replace(/&(?:lt|gt|quot|#39|amp);/g, (entity) => entities[entity] ?? entity);
}

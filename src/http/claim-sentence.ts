import type { ViewScope } from './page-view.ts';

/** What an OpenID scope opens, as a sentence; one that we have no words for by its name. */
export function claimSentence(scope: string, { locale, text }: ViewScope): string {
  const key = `claims.${scope}`;
  return locale.has(key) ? locale.text(key) : text('claims.other', { name: scope });
}

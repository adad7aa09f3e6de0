import type { Locale, TextKey, TextValues } from './locale.ts';

/** What every view builder may use. */
export interface ViewScope {
  locale: Locale;
  /** Texts with `{bank}` already known. */
  text: (key: TextKey, values?: TextValues) => string;
}

/** What a template gets: its title and whatever else it shows, ready to print. */
export interface PageView {
  title: string;
  [name: string]: unknown;
}

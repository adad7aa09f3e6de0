import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { z } from 'zod';

import type english from '../../views/locales/en.json';
import { lookupTag, parseAcceptLanguage, parseUiLocales } from './language-range.ts';

/** A key of the English file, which is the one that all others follow. */
export type TextKey = keyof typeof english;

/** Values for the `{name}` placeholders of a text. */
export type TextValues = Record<string, string | number>;

/** The texts of one language and how it writes dates and durations. */
export interface Locale {
  /** BCP 47 tag, as in the file's name. */
  readonly tag: string;
  /** The language's own name for itself. */
  readonly name: string;
  readonly direction: 'ltr' | 'rtl';
  /** Whether there is a text for this key, in this language or in English. */
  has(key: string): boolean;
  /** The text with its placeholders filled; plain text, not yet escaped for HTML. */
  text(key: TextKey | (string & Record<never, never>), values?: TextValues): string;
  /** Date and time in words, in UTC and saying so. */
  date(date: Date): string;
  /** The day alone, in UTC. */
  day(date: Date): string;
  /** A decimal amount with its currency (ISO 4217), exactly: nothing is rounded. */
  money(amount: string, currency: string): string;
  /** A time span in words, rounded up: seconds below a minute, else minutes. */
  duration(seconds: number): string;
}

/** What asks for a language: the OpenID parameter goes before the browser's header. */
export interface LanguageWishes {
  uiLocales?: string | undefined;
  acceptLanguage?: string | undefined;
}

export interface Locales {
  readonly available: readonly Locale[];
  /** The best available language by RFC 4647 lookup; English when none fits. */
  chooseLocale(wishes: LanguageWishes): Locale;
}

export interface LocalesOptions {
  /** Told of a missing text, which is then shown in English. Without it a missing text throws. */
  onMissing?: (tag: string, key: string) => void;
}

type Texts = Record<string, string>;

const defaultTag = 'en';
const textsSchema = z.record(z.string(), z.string()).and(
  z.object({
    'locale.name': z.string().min(1),
    'locale.direction': z.enum(['ltr', 'rtl']),
    'locale.format': z.string().refine((tag) => Intl.DateTimeFormat.supportedLocalesOf(tag).length),
  }),
);

// Names come from third parties: invisible controls could turn the rest of the sentence around
// (Unicode TR 36 §2.7.2), so they go, and right-to-left names are isolated from their surroundings.
const invisibleControls = /[\p{Cc}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;
const rightToLeft = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/u;

function isolate(value: string | number, direction: Locale['direction']): string {
  const clean = String(value).replace(invisibleControls, ' ');
  const isMixed = direction === 'rtl' || rightToLeft.test(clean);
  return isMixed ? `\u2068${clean}\u2069` : clean;
}

function createFormatters(format: string): Pick<Locale, 'date' | 'day' | 'money' | 'duration'> {
  const day = { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' } as const;
  const days = new Intl.DateTimeFormat(format, day);
  const time = { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' } as const;
  const dates = new Intl.DateTimeFormat(format, { ...day, ...time });
  const unit = { style: 'unit', unitDisplay: 'long' } as const;
  const inSeconds = new Intl.NumberFormat(format, { ...unit, unit: 'second' });
  const inMinutes = new Intl.NumberFormat(format, { ...unit, unit: 'minute' });
  return {
    date: (date) => dates.format(date),
    day: (date) => days.format(date),
    money: (amount, currency) =>
      new Intl.NumberFormat(format, {
        ...{ style: 'currency', currency, maximumFractionDigits: 20 },
      }).format(amount as `${number}`),
    duration: (seconds) =>
      seconds < 60
        ? inSeconds.format(Math.max(1, Math.ceil(seconds)))
        : inMinutes.format(Math.ceil(seconds / 60)),
  };
}

// Keys come from scopes too, and `constructor` is one that a client may name.
function ownValue<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

interface LocaleSource {
  tag: string;
  texts: z.infer<typeof textsSchema>;
  fallback: Texts;
  onMissing: (tag: string, key: string) => void;
}

function createLocale({ tag, texts, fallback, onMissing }: LocaleSource): Locale {
  const direction = texts['locale.direction'];
  const find = (key: string): string => {
    const own = ownValue(texts, key);
    if (own !== undefined) return own;
    onMissing(tag, key);
    return ownValue(fallback, key) ?? key;
  };
  const text: Locale['text'] = (key, values = {}) =>
    find(key).replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = ownValue(values, name);
      if (value === undefined) onMissing(tag, `${key} {${name}}`);
      return value === undefined ? '' : isolate(value, direction);
    });
  return {
    tag,
    name: texts['locale.name'],
    direction,
    has: (key) => ownValue(texts, key) !== undefined || ownValue(fallback, key) !== undefined,
    text,
    ...createFormatters(texts['locale.format']),
  };
}

function refuseMissing(tag: string, key: string): never {
  throw new Error(`the locale ${tag} lacks ${key}`);
}

function readTexts(directory: string): Map<string, z.infer<typeof textsSchema>> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.json'));
  const entries = names.sort().map((name) => {
    const parsed = textsSchema.safeParse(
      JSON.parse(readFileSync(path.join(directory, name), 'utf8')),
    );
    if (!parsed.success) throw new Error(`${name}: ${z.prettifyError(parsed.error)}`);
    return [path.basename(name, '.json'), parsed.data] as const;
  });
  return new Map(entries);
}

/**
 * Reads every `<tag>.json` of the directory: one flat object of texts with `{name}` placeholders,
 * plus `locale.name`, `locale.direction` and `locale.format` (the tag that dates are written by).
 * Throws when a file is malformed or English is missing.
 */
export function createLocales(directory: string, options: LocalesOptions = {}): Locales {
  const onMissing = options.onMissing ?? refuseMissing;
  const files = readTexts(directory);
  const fallback = files.get(defaultTag);
  if (fallback === undefined) throw new Error(`there is no ${defaultTag}.json among the locales`);
  const byTag = new Map(
    [...files].map(([tag, texts]) => [tag, createLocale({ tag, texts, fallback, onMissing })]),
  );
  const english = createLocale({ tag: defaultTag, texts: fallback, fallback, onMissing });
  byTag.set(defaultTag, english);
  const tags = [...byTag.keys()];
  return {
    available: [...byTag.values()],
    chooseLocale({ uiLocales = '', acceptLanguage = '' }) {
      const ranges = [...parseUiLocales(uiLocales), ...parseAcceptLanguage(acceptLanguage)];
      return byTag.get(lookupTag(ranges, tags) ?? defaultTag) ?? english;
    },
  };
}

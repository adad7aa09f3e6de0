import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocales } from '../../src/http/locale.ts';
import { localesDirectory } from '../support/page-site.ts';

type Texts = Record<string, string>;

const files = readdirSync(localesDirectory);
const locales = createLocales(localesDirectory);

function textsOf(name: string): Texts {
  return JSON.parse(readFileSync(path.join(localesDirectory, name), 'utf8')) as Texts;
}

function placeholdersOf(text: string): string[] {
  return [...new Set(text.match(/\{\w+\}/g))].sort();
}

describe('the locale files', () => {
  it('are English and at least one more', () => {
    expect(files).toContain('en.json');
    expect(files.length).toBeGreaterThan(1);
  });

  it.each(files)('%s has exactly the keys of English', (name) => {
    expect(Object.keys(textsOf(name))).toEqual(Object.keys(textsOf('en.json')));
  });

  it.each(files)('%s has exactly the placeholders of English in every text', (name) => {
    const placeholders = (texts: Texts) =>
      Object.entries(texts).map(([key, text]) => [key, placeholdersOf(text)]);
    expect(placeholders(textsOf(name))).toEqual(placeholders(textsOf('en.json')));
  });

  it.each(files)('%s has no empty text and none with a stray brace', (name) => {
    const odd = Object.entries(textsOf(name)).filter(
      ([, text]) => text.trim() === '' || /[{}]/.test(text.replace(/\{\w+\}/g, '')),
    );
    expect(odd).toEqual([]);
  });
});

describe('the choice of a language', () => {
  it.each([
    [{ uiLocales: 'de', acceptLanguage: 'en' }, 'de'],
    [{ uiLocales: 'fr', acceptLanguage: 'de-AT' }, 'de'],
    [{ acceptLanguage: 'fr, de;q=0.5, en;q=0.4' }, 'de'],
    [{ acceptLanguage: 'fr' }, 'en'],
    [{ uiLocales: '__proto__ constructor' }, 'en'],
    [{}, 'en'],
  ])('by %j is %s', (wishes, tag) => {
    expect(locales.chooseLocale(wishes).tag).toBe(tag);
  });
});

describe('a locale', () => {
  const english = locales.chooseLocale({});
  const german = locales.chooseLocale({ uiLocales: 'de' });
  const moment = new Date(Date.UTC(2027, 1, 20, 15, 4));

  it('writes dates in words and names the time zone', () => {
    expect(english.date(moment)).toBe('20 February 2027 at 15:04 UTC');
    expect(german.date(moment)).toBe('20. Februar 2027 um 15:04 UTC');
  });

  it.each([
    [0, '1 second', '1 Sekunde'],
    [29.2, '30 seconds', '30 Sekunden'],
    [60, '1 minute', '1 Minute'],
    [61, '2 minutes', '2 Minuten'],
  ])('writes %d seconds rounded up', (seconds, inEnglish, inGerman) => {
    expect([english.duration(seconds), german.duration(seconds)]).toEqual([inEnglish, inGerman]);
  });

  it('fills in what was given and nothing that was inherited', () => {
    expect(english.text('login.title', { bank: 'Example Bank' })).toBe('Sign in to Example Bank');
    expect(english.text('claims.other', { name: '{bank} $& \\1' })).toBe('Use “{bank} $& \\1”');
    expect(() => english.text('login.title')).toThrow('the locale en lacks login.title {bank}');
  });

  it.each(['constructor', 'toString', '__proto__'])('has no text for %s', (key) => {
    expect(english.has(key)).toBe(false);
    expect(() => english.text(key)).toThrow('lacks');
  });

  it('takes invisible controls out of values and sets right-to-left ones apart', () => {
    const text = (name: string) => english.text('claims.other', { name });
    expect(text('Bank\u202Ekna\u0007B')).toBe('Use “Bank kna B”');
    expect(text('بنك')).toBe('Use “\u2068بنك\u2069”');
  });
});

describe('locale files of a bank', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'countersign-locales-'));
    writeFileSync(path.join(directory, 'en.json'), JSON.stringify(textsOf('en.json')));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(name: string, texts: Texts): void {
    writeFileSync(path.join(directory, name), JSON.stringify(texts));
  }

  const arabic = { 'locale.name': 'العربية', 'locale.direction': 'rtl', 'locale.format': 'ar' };

  it('show a missing text in English and say so', () => {
    write('ar.json', arabic);
    const missing: string[] = [];
    const onMissing = (tag: string, key: string) => missing.push(`${tag} ${key}`);
    const locale = createLocales(directory, { onMissing }).chooseLocale({ uiLocales: 'ar' });
    expect(locale.direction).toBe('rtl');
    expect(locale.text('login.username')).toBe('User name');
    expect(missing).toEqual(['ar login.username']);
  });

  it('may make a missing text an error', () => {
    write('ar.json', arabic);
    const locale = createLocales(directory).chooseLocale({ uiLocales: 'ar' });
    expect(() => locale.text('login.username')).toThrow('the locale ar lacks login.username');
  });

  it.each([
    ['direction', { ...arabic, 'locale.direction': 'up' }],
    ['format', { ...arabic, 'locale.format': 'xx-klingon' }],
    ['name', { ...arabic, 'locale.name': '' }],
  ])('are refused at the start for a wrong %s', (_, texts) => {
    write('ar.json', texts);
    expect(() => createLocales(directory)).toThrow('ar.json');
  });

  it('are refused at the start without English', () => {
    rmSync(path.join(directory, 'en.json'));
    write('ar.json', arabic);
    expect(() => createLocales(directory)).toThrow('en.json');
  });
});

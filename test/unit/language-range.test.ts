import { describe, expect, it } from 'vitest';
import { lookupTag, parseAcceptLanguage, parseUiLocales } from '../../src/http/language-range.ts';

describe('Accept-Language', () => {
  it.each([
    ['de', ['de']],
    ['fr;q=0.5, de-CH, en;q=0.8', ['de-CH', 'en', 'fr']],
    ['en, de', ['en', 'de']],
    ['de;Q=0.1,en ; q=0.2', ['en', 'de']],
    ['de;q=0, en', ['en']],
    ['de;q=high, en', ['en']],
    ['*, en', ['en']],
    ['../../etc/passwd, en', ['en']],
    ['de\u0000, en', ['en']],
    ['', []],
  ])('%j asks for %j', (header, ranges) => {
    expect(parseAcceptLanguage(header)).toEqual(ranges);
  });

  it('is read up to the 20th range', () => {
    const header = [...Array.from({ length: 20 }, () => 'fr'), 'de'].join(',');
    expect(parseAcceptLanguage(header)).not.toContain('de');
  });
});

describe('ui_locales', () => {
  it('is separated by spaces, most wanted first, and malformed tags are left out', () => {
    expect(parseUiLocales(' fr-CA  fr en <script> ')).toEqual(['fr-CA', 'fr', 'en']);
  });
});

describe('RFC 4647 lookup', () => {
  const available = ['de', 'en', 'zh-Hant'];

  it.each([
    [['de-CH-1996'], 'de'],
    [['DE'], 'de'],
    [['zh-Hant-CN-x-private1-private2'], 'zh-Hant'],
    [['zh-hant-x'], 'zh-Hant'],
    [['zh'], undefined],
    [['fr', 'de-AT', 'en'], 'de'],
    [['deu'], undefined],
    [[], undefined],
  ])('%j leads to %s', (ranges, tag) => {
    expect(lookupTag(ranges, available)).toBe(tag);
  });

  it('drops a single-letter subtag together with what follows it', () => {
    expect(lookupTag(['en-a-bbb'], ['en-a', 'en'])).toBe('en');
  });
});

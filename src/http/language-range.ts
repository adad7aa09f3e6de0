const maxRanges = 20;
const rangePattern = /^[a-z]{1,8}(?:-[a-z0-9]{1,8}){0,7}$/i;

interface WeightedRange {
  range: string;
  weight: number;
}

function isRange(range: string): boolean {
  return rangePattern.test(range);
}

function parseWeighted(item: string): WeightedRange {
  const [range = '', ...parameters] = item.split(';').map((part) => part.trim());
  const quality = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2) ?? '1';
  const weight = Number.parseFloat(quality);
  return { range, weight: Number.isNaN(weight) ? 0 : weight };
}

/** The ranges of a `ui_locales` parameter, most wanted first (OpenID Connect Core §3.1.2.1). */
export function parseUiLocales(value: string): string[] {
  return value.split(/\s+/, maxRanges).filter(isRange);
}

/**
 * The ranges of an `Accept-Language` header, most wanted first (RFC 9110 §12.5.4).
 * Ranges with a weight of 0, `*` and anything malformed are left out; at most 20 are looked at.
 */
export function parseAcceptLanguage(value: string): string[] {
  return value
    .split(',', maxRanges)
    .map(parseWeighted)
    .filter(({ range, weight }) => weight > 0 && isRange(range))
    .sort((a, b) => b.weight - a.weight)
    .map(({ range }) => range);
}

/** Drops the last subtag, and a single-letter subtag that this leaves at the end. */
function shorten(range: string): string {
  return range.replace(/-[^-]+$/, '').replace(/-[^-]$/, '');
}

/**
 * The first available tag that a range leads to by "lookup" (RFC 4647 §3.4): each range is
 * shortened from its end until it equals a tag, before the next range is tried.
 */
export function lookupTag(ranges: string[], available: string[]): string | undefined {
  const byLowerCase = new Map(available.map((tag) => [tag.toLowerCase(), tag]));
  for (const wanted of ranges) {
    let range = wanted.toLowerCase();
    for (;;) {
      const tag = byLowerCase.get(range);
      if (tag !== undefined) return tag;
      const shorter = shorten(range);
      if (shorter === range) break;
      range = shorter;
    }
  }
  return undefined;
}

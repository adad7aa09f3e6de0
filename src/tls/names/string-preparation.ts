/**
 * Prepares a string for caseIgnoreMatch (RFC 4518 §2, as RFC 4517 §4.2.11 uses it): format
 * characters vanish, white space becomes single spaces, case and compatibility forms are folded.
 * Undefined when the string holds what may never match: unassigned or private characters, or a NUL,
 * which the RFC would drop, but which in a certificate is an attempt to be read in two ways.
 */
export function prepareForMatching(text: string): string | undefined {
  if (text.includes('\0')) return undefined;
  const mapped = text.replace(spaces, ' ').replace(ignored, '');
  const folded = foldCase(foldCase(mapped.normalize('NFKC')).normalize('NFKC')).normalize('NFKC');
  if (prohibited.test(folded)) return undefined;
  return folded.replace(/ +/gu, ' ').replace(/^ | $/gu, '');
}

const spaces = /[\t\n\v\f\r\u0085\p{Z}]/gu;
/** Also the combining grapheme joiner and the variation selectors, which are not of class Cf. */
const ignored = /[\u034f\p{Cc}\p{Cf}\p{Variation_Selector}\u1806\ufffc]/gu;
const prohibited = /[\p{Cn}\p{Co}\p{Cs}\ufffd]/u;

/**
 * Full case folding (ß is ss, final sigma is sigma). The dotless ı is kept apart, because it alone
 * turns into another letter by way of its capital; measured over all of Unicode 17.
 */
function foldCase(text: string): string {
  return text.replace(/[^ı]+/gu, (run) => run.toLowerCase().toUpperCase().toLowerCase());
}

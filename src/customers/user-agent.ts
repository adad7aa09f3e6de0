/** What a `User-Agent` header says, as far as people know the names. */
export interface UserAgent {
  browser: string | undefined;
  system: string | undefined;
}

/** In this order: most call themselves by the names of the later ones as well. */
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|OPiOS|OPT)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, 'Chrome'],
  [/\bVersion\/[\d.]+ .*\bSafari\//, 'Safari'],
];

const systems: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'Mac'],
  [/\bLinux\b/, 'Linux'],
];

/** Names from our own lists only: nothing of the header itself is shown to anybody. */
export function readUserAgent(header: string): UserAgent {
  return { browser: nameIn(browsers, header), system: nameIn(systems, header) };
}

function nameIn(list: readonly (readonly [RegExp, string])[], header: string): string | undefined {
  return list.find(([pattern]) => pattern.test(header))?.[1];
}

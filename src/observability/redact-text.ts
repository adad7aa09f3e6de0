/** What stands in the place of a secret. */
export const redacted = '[redacted]';

/** Longer strings are cut, in UTF-16 units; keeps a log line below what collectors accept. */
const maxTextLength = 16_384;

/** Shorter strings can't hold a secret of any shape below; `?code=a` is 7 long. */
const shortestSecretLength = 7;

const secretParameters = [
  'access_token',
  'assertion',
  'authorization',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'csrf',
  'device_code',
  'id_token',
  'id_token_hint',
  'logout_token',
  'password',
  'refresh_token',
  'registration_access_token',
  'request',
  'request_uri',
  'response',
  'secret',
  'state',
  'subject_token',
  'token',
  'user_code',
  'xsrf',
].join('|');

interface Shape {
  /** One of these is in every text that has the shape; looking for them is cheaper than the pattern. */
  signs: readonly string[];
  pattern: RegExp;
  replacement: string | ((found: string, at: number, text: string) => string);
}

/** Of an RFC 7638 thumbprint by SHA-256 in base64url: what keys are called by, and no secret. */
const thumbprintLength = 43;

/** One thumbprint in 2300 has a JOSE header's first letters somewhere behind its own first one. */
function withoutJose(found: string, at: number, text: string): string {
  const [before = ''] = /[\w-]*$/.exec(text.slice(Math.max(0, at - thumbprintLength), at)) ?? [];
  const [own = ''] = /^[\w-]+(?=\.?$)/.exec(found) ?? []; // the full stop of a sentence may follow
  const isThumbprint = before !== '' && before.length + own.length === thumbprintLength;
  return isThumbprint ? found : redacted;
}

// Every quantifier that can overlap with its neighbour is bounded: request targets and headers of callers pass through here.
const shapes: readonly Shape[] = [
  {
    // JOSE compact forms and lone JOSE headers: "eyJ" is base64url of '{"', the others of '{ ', '{\n' and '{\r'.
    signs: ['eyJ', 'eyA', 'ewo', 'ew0'],
    pattern: /(?:eyJ|eyA|ewo|ew0)[\w-]{10,}(?:\.[\w-]*){0,4}/g,
    replacement: withoutJose,
  },
  {
    // API keys; their first letters, which people compare, stay.
    signs: ['ck_'],
    pattern: /\b(ck_(?:live|test)_[0-9A-Za-z]{6})[0-9A-Za-z]{8,64}/g,
    replacement: `$1${redacted}`,
  },
  {
    signs: ['-----BEGIN '],
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    replacement: redacted,
  },
  {
    // Prose such as "Basic authentication" stays: credentials are long, or hold a digit, sign or capital.
    signs: [' '],
    pattern: /\b(bearer|basic|dpop) +[\w.~+/=:-]{16,}/gi,
    replacement: `$1 ${redacted}`,
  },
  {
    signs: [' '],
    pattern: /\b([Bb]earer|[Bb]asic|DPoP|BEARER|BASIC) +[a-z_.~-]{0,15}[A-Z0-9+/=][\w.~+/=-]*/g,
    replacement: `$1 ${redacted}`,
  },
  {
    // postgres://user:password@host; the password itself may hold an unescaped "@".
    signs: ['://'],
    pattern: /:\/\/([^\s:/@]{0,128}):\S{1,256}@/g,
    replacement: `://$1:${redacted}@`,
  },
];

/** A text without any of these has no secret's shape: one look settles it for identifiers, which most texts are. */
const suspicious = /[ ="%]|:\/\/|eyJ|eyA|ewo|ew0|ck_/;

const parameter = new RegExp(
  `(^|[?&;#\\s"']|%3F|%26|%23)(${secretParameters})(=|%3D)(?:(?!%26)[^&\\s"'#])+`,
  'gi',
);
const jsonMember = new RegExp(
  `("(?:${secretParameters})"\\s{0,8}:\\s{0,8}")(?:[^"\\\\]|\\\\.)+`,
  'gi',
);

function isHarmless(text: string): boolean {
  if (text.length < shortestSecretLength) return true;
  return text.length <= maxTextLength && !suspicious.test(text);
}

/**
 * The text with everything that looks like a secret replaced: JOSE objects, authorization header values, PEM private keys,
 * passwords in URLs, secret parameters of URLs, forms and JSON. Cut after {@link maxTextLength}. Never throws.
 */
export function redactText(text: string): string {
  if (isHarmless(text)) return text;
  const cut = text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
  let clean = cut;
  for (const { signs, pattern, replacement } of shapes) {
    if (!signs.some((sign) => clean.includes(sign))) continue;
    clean =
      typeof replacement === 'string'
        ? clean.replace(pattern, replacement)
        : clean.replace(pattern, replacement);
  }
  if (clean.includes('=') || clean.includes('%3')) {
    clean = clean.replace(parameter, `$1$2$3${redacted}`);
  }
  if (clean.includes('"')) clean = clean.replace(jsonMember, `$1${redacted}`);
  return cut === text ? clean : `${clean}… [cut, ${String(text.length)} characters]`;
}

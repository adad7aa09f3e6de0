/**
 * The header name, in lower case, that servers may take this one for: CGI and WSGI put the same letter for everything but letters
 * and digits (RFC 3875 §4.1.18). Undefined for a name that is its own.
 */
export function plainName(name: string): string | undefined {
  return /^[a-z\d-]*$/i.test(name) ? undefined : name.toLowerCase().replaceAll(/[^a-z\d]/g, '-');
}

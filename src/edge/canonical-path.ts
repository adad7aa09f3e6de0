import { bounds } from '../bounds.ts';

/** A path that has one reading, or why it has several. */
export type PathReading = { path: string } | { fault: string };

/** RFC 3986 §3.3 without the semicolon, at which some servers cut parameters off. */
const wellFormed = /^\/(?:[\w.~!$&'()*+,=:@/-]|%[\da-f]{2})*$/i;

/** Letters that need no encoding, and what means something else to who decodes it, perhaps twice. */
const misread = /[\w.~\-/\\%;?#\p{Cc}]/u;

/** What a server that folds compatible letters (NFKC) may take for one of these, or leave out as it can't be seen. */
const unseen = /[\p{Default_Ignorable_Code_Point}/\\.%;?#\p{Cc}]/u;

/**
 * The path of a request target (without its query), where it can be read in one way only. Two servers must not see two
 * paths: what has to be normalised first (`//`, `/./`, `%2e`, `%2f`, `;`, a backslash, a full-width `／`, …) is refused instead.
 */
export function readPath(target: string): PathReading {
  const [path = ''] = target.split('?', 1);
  if (path.length > bounds.edge.maxPathLength) return { fault: 'the path is too long' };
  if (!wellFormed.test(path))
    return { fault: 'the path has letters that servers read differently' };
  if (!isPlainlyEncoded(path)) {
    return { fault: 'the path has an encoding that servers read differently' };
  }
  const segments = path.slice(1).split('/');
  const last = segments.length - 1;
  const isOdd = segments.some((one, at) => (one === '' && at < last) || /^\.+$/.test(one));
  return isOdd ? { fault: 'the path has empty or dot segments' } : { path };
}

function isPlainlyEncoded(path: string): boolean {
  if (!path.includes('%')) return true;
  for (const [, hex = ''] of path.matchAll(/%(..)/g)) {
    const byte = Number.parseInt(hex, 16);
    if (byte < 0x80 && misread.test(String.fromCharCode(byte))) return false;
  }
  try {
    const [...letters] = decodeURIComponent(path).replace(/\p{ASCII}/gu, '');
    return !letters.some((letter) => unseen.test(letter) || unseen.test(letter.normalize('NFKC')));
  } catch {
    return false; // no UTF-8
  }
}

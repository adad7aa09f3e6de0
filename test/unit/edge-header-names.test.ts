import { describe, expect, it } from 'vitest';
import { lookAlike } from '../../src/edge/identity-headers.ts';
import { overridingHeader } from '../../src/edge/original-request.ts';
import { plainName } from '../../src/edge/plain-name.ts';

/** What a header's name may have besides letters, digits and hyphens (RFC 9110 §5.6.2). */
const letters = "!#$%&'*+.^_`|~".match(/./g) ?? [];

describe('A name that servers take for another one', () => {
  it.each(letters)('is known by %s', (letter) => {
    expect(plainName(`X${letter}User-ID`)).toBe('x-user-id');
    for (const name of [`X${letter}User${letter}ID`, `x-user${letter}id`]) {
      expect(lookAlike(['Accept', name])).toBe(name);
    }
    for (const name of [`X${letter}Original${letter}URL`, `x${letter}forwarded-uri`]) {
      expect(overridingHeader(['Accept', name])).toBe(name);
    }
  });

  it('is none for what is its own', () => {
    for (const name of ['X-User-ID', 'accept', 'X-1']) expect(plainName(name)).toBeUndefined();
    expect(lookAlike(['X-User-ID', 'X.Other', 'XUserID'])).toBeUndefined();
    expect(overridingHeader(['X-Forwarded-Uri', 'X.Other', 'XOriginalURL'])).toBeUndefined();
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../src/problem.ts';
import { parseJsonObject } from '../../src/security/strict-json.ts';

const limits = { maxDepth: 6 };

/** How deep a value is nested, by another way than the parser's. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function outcome(text: string): unknown {
  try {
    return parseJsonObject(text, limits);
  } catch (error) {
    return error instanceof Problem ? error.code : error;
  }
}

describe('A JSON object from outside', () => {
  it('is what JSON.parse makes of it, as long as it is not deep', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })),
        fc.constantFrom(undefined, 2, '\t'),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          const isAllowed = depthOf(JSON.parse(text)) <= 6 && !text.includes('\\u0000');
          expect(outcome(text)).toEqual(isAllowed ? JSON.parse(text) : 'invalid_request');
        },
      ),
    );
  });

  it('never throws anything but its own refusal, whatever the text', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '"a"',
      '1',
      ' ',
      'null',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(pieces).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        const found = outcome(candidate);
        expect(typeof found === 'object' || found === 'invalid_request').toBe(true);
        expect(found).not.toBeInstanceOf(Error);
      }),
    );
  });

  it('has no member twice, in whatever way its name is written', () => {
    const escaped = (name: string) =>
      name.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.nat(3), (name, depth) => {
        const twice = `{${JSON.stringify(name)}:1 , "${escaped(name)}" :2}`;
        const text = '{"in":'.repeat(depth) + twice + '}'.repeat(depth);
        expect(outcome(text)).toBe('invalid_request');
      }),
    );
  });

  it.each([
    ['{"a":{"b":1},"b":1}', { a: { b: 1 }, b: 1 }],
    ['{"a":"b","b":"a"}', { a: 'b', b: 'a' }],
    ['{"a":["a","a"]}', { a: ['a', 'a'] }],
    ['{"a":[{"a":1},{"a":2}]}', { a: [{ a: 1 }, { a: 2 }] }],
    [String.raw`{"a\":":"b\\","b":"{[\"a\":"}`, { 'a":': 'b\\', b: '{["a":' }],
  ])('may use a name again elsewhere: %s', (text, value) => {
    expect(outcome(text)).toEqual(value);
  });

  it.each([
    ...['[]', '1', '"a"', 'null', '', '{"a":1,"a":1}', '{"a":"\\u0000"}', '{"\\u0000":1}'],
    ...['{"a":["\\ud800"]}', '{"a":"\\udc00\\ud800"}', '{"\\ud800":1}', '{"a":"\ud800"}'],
  ])('is not %j', (text) => {
    expect(outcome(text)).toBe('invalid_request');
  });

  it('takes time in proportion to its length', () => {
    const spaces = ' '.repeat(60_000);
    const started = performance.now();
    outcome(`{"a"${spaces}:"${'\\\\'.repeat(2000)}"}`);
    outcome(`{"a":${'["",'.repeat(10_000)}`);
    outcome(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

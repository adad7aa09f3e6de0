import { connect } from 'node:net';
import fc from 'fast-check';
import type { Middleware } from 'koa';
import { describe, expect, it } from 'vitest';
import { readForm } from '../../src/http/form.ts';
import { Problem } from '../../src/problem.ts';
import { serveSteps } from '../support/http-server.ts';

const formType = 'application/x-www-form-urlencoded';
const limits = { maxBytes: 1000, maxFields: 5 };

const echoForm: Middleware = async (ctx) => {
  try {
    const form = await readForm(ctx, limits);
    ctx.body = { form, prototype: Object.getPrototypeOf(form) as unknown };
  } catch (error) {
    ctx.body = { problem: error instanceof Problem ? error.code : String(error) };
  }
};

async function post(body: string | Buffer, headers: Record<string, string> = {}) {
  await using server = await serveSteps([echoForm]);
  const response = await server.send('/', {
    method: 'POST',
    headers: { 'Content-Type': formType, ...headers },
    body,
  });
  return { ...(JSON.parse(response.body) as object), connection: response.headers.connection };
}

describe('a form', () => {
  it('is read with every kind of encoding', async () => {
    expect(await post('username=al+ice&password=p%26%3D%2B%C3%BC=x&&empty=&bare')).toMatchObject({
      form: { username: 'al ice', password: 'p&=+ü=x', empty: '', bare: '' },
      prototype: null,
    });
  });

  it('may say that it is UTF-8, and nothing else', async () => {
    for (const type of [
      formType.toUpperCase(),
      `${formType};charset=UTF-8`,
      `${formType}; charset="utf-8"`,
    ]) {
      expect(await post('a=b', { 'Content-Type': type })).toMatchObject({ form: { a: 'b' } });
    }
    for (const type of [
      ...['application/json', 'multipart/form-data; boundary=x', 'text/plain', ''],
      ...[`${formType}; charset=iso-8859-1`, `${formType}x`, `text/plain, ${formType}`],
    ]) {
      expect(await post('a=b', { 'Content-Type': type })).toMatchObject({
        problem: 'unsupported_media_type',
      });
    }
    expect(await post('a=b', { 'Content-Encoding': 'gzip' })).toMatchObject({
      problem: 'unsupported_media_type',
    });
  });

  it.each([
    ['a repeated field', 'a=1&a=1'],
    ['a field repeated in another encoding', 'a=1&%61=2'],
    ['a lone percent sign', 'a=100%'],
    ['a bad percent encoding', 'a=%zz'],
    ['an overlong UTF-8 encoding', 'a=%C0%AF'],
    ['a surrogate', 'a=%ED%A0%80'],
    ['U+0000', 'a=x%00y'],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0x3d, 0xff])],
    ['too many fields', 'a=&b=&c=&d=&e=&f='],
  ])('with %s is refused', async (_, body) => {
    expect(await post(body)).toMatchObject({ problem: 'invalid_request' });
  });

  it('counts only real fields', async () => {
    const body = `${'&'.repeat(100)}a=1&b=2&c=3&d=4&e=5`;
    expect(await post(body)).toMatchObject({ form: { a: '1', e: '5' } });
  });

  it('can have fields named like members of objects', async () => {
    expect(await post('constructor=a&toString=b')).toMatchObject({
      form: { constructor: 'a', toString: 'b' },
    });
  });

  it('that is too large is refused, with and without an announced length', async () => {
    const refused = { problem: 'payload_too_large', connection: 'close' };
    const large = `a=${'x'.repeat(999)}`;
    expect(await post(large)).toMatchObject(refused);
    expect(await post(large, { 'Transfer-Encoding': 'chunked' })).toMatchObject(refused);
    expect(await post(large.slice(0, -1))).toHaveProperty('form');
  });

  it('that does not end is refused', async () => {
    const problems: unknown[] = [];
    const { promise: done, resolve } = Promise.withResolvers<undefined>();
    const record: Middleware = async (ctx) => {
      await readForm(ctx, limits).catch((error: unknown) => problems.push(error));
      resolve(undefined);
    };
    await using server = await serveSteps([record]);
    const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${formType}\r\nContent-Length: 100\r\n\r\na=b`;
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(head, () => socket.end());
    });
    await done;
    socket.destroy();
    expect(problems).toMatchObject([{ code: 'invalid_request' }]);
  });

  it('comes back as the platform encodes it', async () => {
    await using server = await serveSteps([echoForm]);
    const text = fc
      .string({ unit: 'grapheme', maxLength: 20 })
      .filter((value) => !value.includes('\0'));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(text.filter(Boolean), text, { maxKeys: 3 }),
        async (fields) => {
          const body = new URLSearchParams(Object.entries(fields)).toString();
          fc.pre(body.length <= limits.maxBytes);
          const headers = { 'Content-Type': formType };
          const response = await server.send('/', { method: 'POST', headers, body });
          const { form } = JSON.parse(response.body) as { form: Record<string, string> };
          expect(Object.entries(form).toSorted()).toEqual(Object.entries(fields).toSorted());
        },
      ),
      { numRuns: 50 },
    );
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Assets, createAssets } from '../../src/http/assets.ts';
import { serveSteps, type TestServer } from '../support/http-server.ts';

let directory: string;
let assets: Assets;
let server: TestServer;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'countersign-assets-'));
  mkdirSync(path.join(directory, 'assets'));
  writeFileSync(path.join(directory, 'assets', 'a.css'), 'p { color: red }');
  writeFileSync(
    path.join(directory, 'assets', 'mark.svg'),
    '<svg xmlns="http://www.w3.org/2000/svg"/>',
  );
  writeFileSync(path.join(directory, 'Logo.PNG'), 'a picture');
  writeFileSync(path.join(directory, 'bank.css'), ':root { --brand: red }');
  writeFileSync(path.join(directory, 'secret.key'), 'secret');
  assets = createAssets({
    directory: path.join(directory, 'assets'),
    logoFile: path.join(directory, 'Logo.PNG'),
    themeFile: path.join(directory, 'bank.css'),
  });
  server = await serveSteps([assets.middleware]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

describe('an asset', () => {
  it('is served from memory with its type and an ETag', async () => {
    rmSync(path.join(directory, 'assets', 'a.css'));
    const { headers, body } = await server.send('/assets/a.css?v=1');
    expect(body).toBe('p { color: red }');
    expect(headers['content-type']).toBe('text/css; charset=utf-8');
    expect(headers['cache-control']).toBe('public, max-age=600');
    expect(headers.etag).toMatch(/^"[\w-]{22}"$/);
  });

  it('is not sent again to who has it', async () => {
    const { etag = '' } = (await server.send('/assets/mark.svg')).headers;
    const ask = (tag: string) =>
      server.send('/assets/mark.svg', { headers: { 'If-None-Match': tag } });
    expect(await ask(etag)).toMatchObject({ status: 304, body: '' });
    expect(await ask('"other"')).toMatchObject({ status: 200 });
  });

  it('runs no script when it is a picture', async () => {
    const { headers } = await server.send('/assets/mark.svg');
    expect(headers['content-security-policy']).toMatch(/^default-src 'none';.*; sandbox$/);
  });

  it('may be the bank’s logo and theme', async () => {
    expect(assets).toMatchObject({
      logoUrl: '/assets/brand-logo.png',
      themeUrl: '/assets/theme.css',
    });
    const logo = await server.send('/assets/brand-logo.png');
    expect(logo.headers['content-type']).toBe('image/png');
    expect((await server.send('/assets/theme.css')).body).toBe(':root { --brand: red }');
  });

  it.each([
    '/assets/',
    '/assets/A.css',
    '/assets/a.css/',
    '/assets//a.css',
    '/assets/%61.css',
    '/assets/..%2fsecret.key',
    '/assets/%2e%2e/secret.key',
    '/assets/Logo.PNG',
    '/assets/__proto__',
  ])('is not %s', async (target) => {
    expect((await server.send(target)).status).toBe(404);
  });

  it('is not changed by other methods', async () => {
    expect((await server.send('/assets/a.css', { method: 'POST' })).status).toBe(404);
    const head = await server.send('/assets/a.css', { method: 'HEAD' });
    expect([head.status, head.headers['content-length']]).toEqual([200, '16']);
  });
});

describe('the start', () => {
  it.each(['logoFile', 'themeFile'] as const)('is refused with a %s of another type', (setting) => {
    const files = { [setting]: path.join(directory, 'secret.key') };
    expect(() => createAssets({ directory: path.join(directory, 'assets'), ...files })).toThrow(
      expect.objectContaining({ code: 'configuration_invalid' }),
    );
  });

  it('is refused without the logo that was named', () => {
    expect(() =>
      createAssets({ directory: path.join(directory, 'assets'), logoFile: '/none.png' }),
    ).toThrow('ENOENT');
  });
});

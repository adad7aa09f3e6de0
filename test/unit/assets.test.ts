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
  writeFileSync(path.join(directory, 'assets', 'mark.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
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
  await server.close();
  rmSync(directory, { recursive: true });
});

function get(target: string, init: RequestInit = {}): Promise<Response> {
  return fetch(server.origin + target, init);
}

describe('an asset', () => {
  it('is served from memory with its type and an ETag', async () => {
    rmSync(path.join(directory, 'assets', 'a.css'));
    const response = await get('/assets/a.css?v=1');
    expect(await response.text()).toBe('p { color: red }');
    expect(response.headers.get('content-type')).toBe('text/css; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('public, max-age=600');
    expect(response.headers.get('etag')).toMatch(/^"[\w-]{22}"$/);
  });

  it('is not sent again to who has it', async () => {
    const etag = (await get('/assets/mark.svg')).headers.get('etag') ?? '';
    // A cache mode of fetch's own would hide the answer.
    const headers = { 'If-None-Match': etag };
    const again = await get('/assets/mark.svg', { headers, cache: 'no-store' });
    expect([again.status, await again.text()]).toEqual([304, '']);
    const other = await get('/assets/mark.svg', { headers: { 'If-None-Match': '"other"' } });
    expect(other.status).toBe(200);
  });

  it('runs no script when it is a picture', async () => {
    const { headers } = await get('/assets/mark.svg');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).toContain('sandbox');
  });

  it('may be the bank’s logo and theme', async () => {
    expect(assets).toMatchObject({ logoUrl: '/assets/brand-logo.png', themeUrl: '/assets/theme.css' });
    expect((await get('/assets/brand-logo.png')).headers.get('content-type')).toBe('image/png');
    expect(await (await get('/assets/theme.css')).text()).toBe(':root { --brand: red }');
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
    expect((await get(target)).status).toBe(404);
  });

  it('is not changed by other methods', async () => {
    expect((await get('/assets/a.css', { method: 'POST' })).status).toBe(404);
    const head = await get('/assets/a.css', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '16']);
  });
});

describe('the start', () => {
  it.each([
    [{ logoFile: 'secret.key' }],
    [{ themeFile: 'secret.key' }],
  ])('is refused with %j, a file of a type that is not served', (files) => {
    const named = Object.entries(files).map(([key, name]) => [key, path.join(directory, name)]);
    const options = { directory: path.join(directory, 'assets'), ...Object.fromEntries(named) };
    expect(() => createAssets(options)).toThrow(
      expect.objectContaining({ code: 'configuration_invalid' }),
    );
  });

  it('is refused without the logo that was named', () => {
    expect(() => createAssets({ directory: path.join(directory, 'assets'), logoFile: '/none.png' })).toThrow('ENOENT');
  });
});

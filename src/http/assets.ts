import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import type { Middleware } from 'koa';

import { Problem } from '../problem.ts';

export interface AssetsOptions {
  /** Every file in it is served. */
  directory: string;
  /** The bank's logo, served as `/assets/brand-logo.<ext>`. */
  logoFile?: string | undefined;
  /** The bank's stylesheet, served as `/assets/theme.css`. */
  themeFile?: string | undefined;
}

export interface Assets {
  middleware: Middleware;
  /** For the renderer's brand. */
  logoUrl?: string;
  themeUrl?: string;
}

interface Asset {
  body: Buffer;
  contentType: string;
  etag: string;
}

const contentTypes: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
};

const prefix = '/assets/';
// Names carry no version, so this is how long a page may look old after an upgrade.
const cacheControl = 'public, max-age=600';
// A picture opened by itself is a document on the issuer's origin and could run script.
const picturePolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

function readAsset(file: string): Asset {
  const contentType = contentTypes[path.extname(file).toLowerCase()];
  if (contentType === undefined) {
    throw new Problem('configuration_invalid', { detail: `${file} is of a type we don't serve` });
  }
  const body = readFileSync(file);
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return { body, contentType, etag: `"${digest}"` };
}

function readAssets({ directory, logoFile, themeFile }: AssetsOptions): Map<string, Asset> {
  const files = readdirSync(directory).map((name) => [name, path.join(directory, name)] as const);
  const assets = new Map(files.map(([name, file]) => [prefix + name, readAsset(file)]));
  if (themeFile !== undefined) assets.set(`${prefix}theme.css`, readAsset(themeFile));
  if (logoFile !== undefined) assets.set(logoUrl(logoFile), readAsset(logoFile));
  return assets;
}

function logoUrl(logoFile: string): string {
  return `${prefix}brand-logo${path.extname(logoFile).toLowerCase()}`;
}

/**
 * Serves style sheets, scripts and pictures of the hosted pages from memory by their exact names;
 * any other path goes on to the next middleware. Throws at once when a file can't be read or is of
 * a type that is not served.
 */
export function createAssets(options: AssetsOptions): Assets {
  const assets = readAssets(options);
  const middleware: Middleware = async (ctx, next) => {
    const asset = assets.get(ctx.path);
    if (asset === undefined || !['GET', 'HEAD'].includes(ctx.method)) {
      await next();
      return;
    }
    ctx.set('Cache-Control', cacheControl);
    if (asset.contentType.startsWith('image/')) ctx.set('Content-Security-Policy', picturePolicy);
    ctx.etag = asset.etag;
    ctx.status = 200;
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    ctx.type = asset.contentType;
    ctx.body = asset.body;
  };
  return {
    middleware,
    ...(options.logoFile === undefined ? {} : { logoUrl: logoUrl(options.logoFile) }),
    ...(options.themeFile === undefined ? {} : { themeUrl: `${prefix}theme.css` }),
  };
}

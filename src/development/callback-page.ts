import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import type { Pages } from '../http/pages.ts';

/** Where the sample browser client receives its authorization code, in development only. */
export const callbackPath = '/development/callback';

/** The id of the sample browser client. */
export const browserClientId = 'sample-browser';

/** What the sample browser client proves itself with (RFC 7636). */
export function codeChallengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

/** The page that shows the code, and the command that exchanges it. */
export function addCallbackPage(
  router: Router,
  pages: Pages,
  options: { issuer: string; authorityFile: string; codeVerifier: string },
): void {
  router.get(callbackPath, (ctx) => {
    ctx.state['route'] = 'development_callback';
    const { code, error } = ctx.query;
    const data =
      typeof code === 'string'
        ? { code, command: exchangeCommand(code, options) }
        : { error: typeof error === 'string' ? error : 'invalid_request' };
    pages.show(ctx, { page: 'development-callback', data });
  });
}

function exchangeCommand(
  code: string,
  { issuer, authorityFile, codeVerifier }: Parameters<typeof addCallbackPage>[2],
): string {
  const form = {
    grant_type: 'authorization_code',
    client_id: browserClientId,
    redirect_uri: issuer + callbackPath,
    code_verifier: codeVerifier,
    // Only what a code consists of: the page shows this as a command.
    code: code.replace(/[^\w-]/g, ''),
  };
  const parameters = Object.entries(form).map(([name, value]) => `-d ${name}=${value}`);
  return ['curl', `--cacert '${authorityFile}'`, ...parameters, `${issuer}/token`].join(' ');
}

import type Koa from 'koa';

/** Where OpenID Shared Signals 1.0 §7.1 has a receiver look. */
const receiverMetadataPath = '/.well-known/ssf-configuration';

/**
 * What receivers need to know of us, in the words of Shared Signals: which keys sign and how events come. There is no API for
 * streams, which operators make.
 */
export function createReceiverMetadata(issuer: string): Koa.Middleware {
  const body = JSON.stringify({
    spec_version: '1_0',
    issuer,
    jwks_uri: `${issuer}/jwks`,
    delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
    default_subjects: 'ALL',
  });
  return async function answerMetadata(ctx, next) {
    if (ctx.path !== receiverMetadataPath || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) {
      await next();
      return;
    }
    ctx.state['route'] = 'discovery';
    ctx.set('Cache-Control', 'public, max-age=300');
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.type = 'application/json; charset=utf-8';
    ctx.body = body;
  };
}

// A Lambda authorizer for Amazon API Gateway: HTTP APIs (payload 2.0, simple responses) and REST APIs (type REQUEST), with
// or without mutual TLS. To be deployed beside the package `countersign` (`npm run package`) and jose. Its environment:
//   COUNTERSIGN_ISSUER=https://auth.bank.example
//   COUNTERSIGN_AUDIENCE=https://accounts.bank.example
//   COUNTERSIGN_ORIGINS=https://api.bank.example           where callers reach the gateway, for DPoP
//   COUNTERSIGN_ROUTES={"GET /accounts/{id}": "accounts"}  scopes by the gateway's own route; others are denied
// Set the authorizer's cache to 0 seconds: it remembers by the Authorization header, and so would let others pass with a
// token that is bound to somebody's certificate or key. Give the function 10 seconds: it waits for Countersign up to 3
// times 2 seconds. API Gateway sends no challenge of ours: callers see 401 or 403, and 500 where Countersign does not
// answer, so that nobody throws a good token away.
import { X509Certificate } from 'node:crypto';
import { createResourceServer } from 'countersign/resource-server';

/** The authorizer with these options of the middleware, and the scopes of each route. */
export function createAuthorizer(options, routes) {
  const api = createResourceServer(options);

  return async function authorize(event) {
    const isHttpApi = event.version === '2.0';
    const { route, ...request } = isHttpApi ? httpRequest(event) : restRequest(event);
    if (!Object.hasOwn(routes, route)) return answer(event, undefined);
    const verdict = await api.judge(request, { scope: routes[route] });
    if ('token' in verdict) return answer(event, verdict.token);
    return refused(event, verdict.refusal.status);
  };
}

function refused(event, status) {
  if (status === 403) return answer(event, undefined);
  // This text is the one way to have API Gateway say 401; every other makes it 500, and no error is remembered.
  throw new Error(status < 500 ? 'Unauthorized' : 'Countersign does not answer');
}

/** Payload format 2.0: header names in small letters, several lines in one. */
function httpRequest({ routeKey, rawPath, rawQueryString, headers = {}, requestContext }) {
  return {
    route: routeKey,
    method: requestContext.http.method,
    target: rawQueryString ? `${rawPath}?${rawQueryString}` : rawPath,
    header: (name) => (headers[name] === undefined ? [] : [headers[name]]),
    certificate: derOf(requestContext.authentication?.clientCert),
  };
}

/** Header names as the caller wrote them. */
function restRequest({ httpMethod, resource, multiValueHeaders, requestContext }) {
  const lines = Object.entries(multiValueHeaders ?? {});
  return {
    route: `${httpMethod} ${resource}`,
    method: httpMethod,
    // With the stage, where callers see one.
    target: requestContext.path,
    header: (name) => lines.flatMap(([own, values]) => (own.toLowerCase() === name ? values : [])),
    certificate: derOf(requestContext.identity?.clientCert),
  };
}

function derOf(clientCert) {
  return clientCert && new X509Certificate(clientCert.clientCertPem).raw;
}

/** What the integration reads as `$context.authorizer.…`; text only, as REST APIs want it. */
function answer({ version, methodArn }, token) {
  const context = token && {
    userId: token.subject === token.clientId ? '' : token.subject,
    clientId: token.clientId,
    scopes: token.scopes.join(' '),
    consentId: token.consentId ?? '',
    tokenExpires: String(token.expiresAt),
  };
  if (version === '2.0') return { isAuthorized: token !== undefined, ...(context && { context }) };
  const Effect = token === undefined ? 'Deny' : 'Allow';
  const Statement = [{ Action: 'execute-api:Invoke', Effect, Resource: methodArn }];
  return {
    principalId: token?.subject ?? 'unknown',
    policyDocument: { Version: '2012-10-17', Statement },
    ...(context && { context }),
  };
}

const { COUNTERSIGN_ISSUER: issuer, COUNTERSIGN_AUDIENCE: audience, ...rest } = process.env;

/** What Lambda calls. */
export const handler =
  issuer === undefined
    ? undefined
    : createAuthorizer(
        {
          ...{ issuer, audience, timeoutMs: 2000 },
          dpop: { origins: rest.COUNTERSIGN_ORIGINS?.split(',') },
        },
        JSON.parse(rest.COUNTERSIGN_ROUTES ?? '{}'),
      );

/**
 * Decides about one request for introspecting-gateway.conf: 204 with what the token says in `Token-*`
 * headers, 401 or 403 as RFC 6750 has it, 500 when the authorization server could not be asked.
 * This is njs 0.7, not Node: no optional chaining, no object spread.
 */

// eslint-disable-next-line n/prefer-node-protocol -- njs knows it by this name only
import crypto from 'crypto';

/** RFC 6750 §2.1. */
const bearer = /^Bearer +([\w.~+/-]+=*)$/i;
/** What may stand in a header without harm. */
const plain = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/;

async function judge(r) {
  const given = r.headersIn.Authorization;
  if (given === undefined) return refuse(r, 401, 'Bearer');
  const token = bearer.exec(given);
  if (token === null) return refuse(r, 401, 'Bearer error="invalid_request"');

  const reply = await r.subrequest('/_countersign', {
    method: 'POST',
    body: 'token=' + encodeURIComponent(token[1]),
  });
  if (reply.status !== 200) {
    r.error('introspection was answered with ' + reply.status);
    return r.return(500);
  }
  const answer = JSON.parse(reply.responseText);
  if (answer.active !== true || !isBoundTo(answer.cnf, r.variables.ssl_client_raw_cert)) {
    return refuse(r, 401, 'Bearer error="invalid_token"');
  }
  const required = r.variables.required_scope;
  if (
    String(answer.scope || '')
      .split(' ')
      .indexOf(required) < 0
  ) {
    return refuse(r, 403, 'Bearer error="insufficient_scope", scope="' + required + '"');
  }
  // A token that no customer took part in has no subject but its client, as in JWT access tokens.
  const subject = answer.sub === undefined ? answer.client_id : answer.sub;
  return accept(r, { Subject: subject, Client: answer.client_id, Scope: answer.scope });
}

/** A token that is bound to nothing is anybody's; take the first line away where such tokens are welcome. */
function isBoundTo(confirmation, certificate) {
  if (confirmation === undefined || confirmation === null) return false;
  const expected = confirmation['x5t#S256'];
  if (expected === undefined || !certificate) return false;
  const base64 = certificate.replace(/-----[A-Z ]+-----|\s/g, '');
  const der = Buffer.from(base64, 'base64');
  return crypto.createHash('sha256').update(der).digest('base64url') === expected;
}

function accept(r, claims) {
  for (const name in claims) {
    const value = claims[name];
    if (typeof value !== 'string' || !plain.test(value)) {
      r.error('the token has no usable ' + name);
      return r.return(500);
    }
    r.headersOut['Token-' + name] = value;
  }
  return r.return(204);
}

function refuse(r, status, challenge) {
  r.headersOut['Token-Challenge'] = challenge;
  return r.return(status);
}

export default { judge };

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { identityHeaders } from '../../src/edge/identity-headers.ts';
import { asking, overriding } from '../../src/edge/original-request.ts';

const deploy = path.join(import.meta.dirname, '../../deploy');
const shipped = (file: string) => readFile(path.join(deploy, file), 'utf8');

const nobody = { customerId: undefined, clientId: undefined, consentId: undefined };
const { headers, absent } = identityHeaders({
  ...{ ...nobody, scopes: [], apiKeyId: undefined, expiresAt: 1 },
});
/** What the server behind the edge is told by, lower case. */
const identity = [...Object.keys(headers), ...absent, 'x-request-id'].map((name) =>
  name.toLowerCase(),
);

/** The list of names below `key`, as the file of Envoy has it. */
function patternsIn(text: string, key: string): string[] {
  const [, block = ''] =
    new RegExp(`\\b${key}:\\s+patterns:\\n((?:\\s+(?:- exact:|#).*\\n)+)`).exec(text) ?? [];
  return [...block.matchAll(/- exact: (\S+)/g)].map(([, name = '']) => name);
}

describe('The shipped configuration', () => {
  it('of Envoy shows Countersign every header by which servers take another request', async () => {
    const text = await shipped('envoy/forward-auth.yaml');
    expect(patternsIn(text, 'allowed_headers')).toEqual(expect.arrayContaining([...overriding]));
    const told = patternsIn(text, 'allowed_upstream_headers');
    expect(told.toSorted()).toEqual(identity.toSorted());
    const [, removed = ''] = /request_headers_to_remove:\n((?: +(?:-|#).*\n)+)/.exec(text) ?? [];
    for (const name of asking) expect(removed).toContain(`- ${name}\n`);
    expect(text).toContain('headers_with_underscores_action: REJECT_REQUEST');
  });

  it('of NGINX replaces what it is asked by and what it tells', async () => {
    const text = (await shipped('nginx/forward-auth.conf')).toLowerCase();
    const [, passedOn = ''] = /location \/ \{([\s\S]*?)\n {4}\}/.exec(text) ?? [];
    for (const name of asking) {
      expect(passedOn).toContain(`proxy_set_header ${name} "";`);
    }
    for (const name of identity) expect(passedOn).toContain(`proxy_set_header ${name} $edge_`);
    expect(text).toContain('underscores_in_headers off;');
  });

  it('of Traefik removes them from what the caller sent', async () => {
    const text = (await shipped('traefik/forward-auth.yaml')).toLowerCase();
    const [, removed = ''] = /without-claims:([\s\S]*?)\n {4}certificate:/.exec(text) ?? [];
    for (const name of [...asking, ...identity]) {
      expect(removed).toContain(`${name}: ''`);
    }
    const [, told = ''] = /authresponseheaders:([\s\S]*?)\n {8}tls:/.exec(text) ?? [];
    for (const name of identity) expect(told).toContain(`- ${name}`);
  });

  it('of Kong takes requests from NGINX alone, and changes no path', async () => {
    const text = await shipped('kong/behind-nginx.yaml');
    expect(text).toMatch(
      /^plugins:\n.*\n {2}- name: ip-restriction\n {4}config:\n {6}allow: \[[\d.]+\]$/m,
    );
    expect(text).toContain('strip_path: false');
    expect(text).toMatch(/^# {3}KONG_TRUSTED_IPS +not set/m);
  });
});

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assessClient } from '../../src/clients/assessment.ts';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { refusalOf } from '../../src/clients/profiles.ts';
import type { SecurityProfile } from '../../src/clients/profiles.ts';
import { Problem } from '../../src/problem.ts';

function publicJwk(
  type: 'ec' | 'rsa' | 'ed25519' | 'x25519',
  options: { namedCurve?: string; modulusLength?: number } = {},
) {
  const generate = generateKeyPairSync as (
    type: string,
    options: object,
  ) => { publicKey: { export(format: { format: 'jwk' }): Record<string, unknown> } };
  return generate(type, options).publicKey.export({ format: 'jwk' });
}

const key = { ...publicJwk('ec', { namedCurve: 'P-256' }), kid: 'a' };
const base = {
  client_id: 'x',
  redirect_uris: ['https://a.test/cb'],
  token_endpoint_auth_method: 'private_key_jwt',
  dpop_bound_access_tokens: true,
  jwks: { keys: [key] },
};
const fapi2 = { ...base, security_profile: 'fapi2' };
const signing = { ...base, security_profile: 'fapi2-message-signing' };

function faultsOf(metadata: unknown, minimumProfile: SecurityProfile = 'baseline'): string {
  try {
    parseClientMetadata(metadata, { minimumProfile });
    return '';
  } catch (error) {
    if (error instanceof Problem && error.code === 'client_invalid') return error.detail ?? '';
    throw error;
  }
}

describe('The profile fapi2', () => {
  it('decides what it demands, whatever the metadata says', () => {
    const said = { ...fapi2, require_pushed_authorization_requests: false };
    expect(parseClientMetadata(said)).toMatchObject({
      require_pushed_authorization_requests: true,
      id_token_signed_response_alg: 'PS256',
      authorization_signed_response_alg: 'PS256',
      introspection_signed_response_alg: 'PS256',
    });
  });

  it('leaves an algorithm of its own to the client', () => {
    const chosen = { ...fapi2, id_token_signed_response_alg: 'ES256' };
    expect(parseClientMetadata(chosen)['id_token_signed_response_alg']).toBe('ES256');
  });

  it.each([
    ['a secret', { token_endpoint_auth_method: 'client_secret_basic' }, 'auth_method'],
    ['no authentication', { token_endpoint_auth_method: 'none' }, 'auth_method'],
    ['bearer tokens', { dpop_bound_access_tokens: false }, 'must be bound'],
    ['RS256 assertions', { token_endpoint_auth_signing_alg: 'RS256' }, 'auth_signing_alg'],
    ['RS256 ID tokens', { id_token_signed_response_alg: 'RS256' }, 'id_token'],
    ['RS256 requests', { request_object_signing_alg: 'RS256' }, 'request_object_signing_alg'],
    ['RS256 responses', { authorization_signed_response_alg: 'RS256' }, 'authorization_signed'],
    ['RS256 introspection', { introspection_signed_response_alg: 'RS256' }, 'introspection'],
    [
      'a private-use scheme',
      { application_type: 'native', redirect_uris: ['com.example.app:/cb'] },
      'loopback',
    ],
    ['http', { redirect_uris: ['http://a.test/cb'] }, 'https'],
    ['an implicit grant', { grant_types: ['authorization_code', 'implicit'] }, 'implicit'],
    ['another response type', { response_types: ['code id_token'] }, 'response type'],
    ['a weak curve', { jwks: { keys: [publicJwk('ec', { namedCurve: 'secp256k1' })] } }, 'curve'],
    ['a key agreement curve', { jwks: { keys: [publicJwk('x25519')] } }, 'curve'],
    ['the address of a key', { jwks: { keys: [{ ...key, x5u: 'https://a.test' }] } }, 'x5u'],
  ])('refuses %s', (_name, members, fault) => {
    expect(faultsOf(fapi2)).toBe('');
    expect(faultsOf({ ...fapi2, ...members })).toContain(fault);
  });

  it('takes a native client on a loopback address, a certificate, and Ed25519', () => {
    const native = { application_type: 'native', redirect_uris: ['http://127.0.0.1/cb'] };
    expect(faultsOf({ ...fapi2, ...native })).toBe('');
    const certificate = {
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=a',
    };
    expect(faultsOf({ ...fapi2, ...certificate, dpop_bound_access_tokens: false })).toBe('');
    expect(faultsOf({ ...fapi2, jwks: { keys: [publicJwk('ed25519')] } })).toBe('');
  });

  it('demands no binding of a resource server, which gets no tokens', () => {
    const { dpop_bound_access_tokens: _bound, redirect_uris: _uris, ...rest } = fapi2;
    expect(faultsOf({ ...rest, grant_types: [] })).toBe('');
  });
});

describe('The profile fapi2-message-signing', () => {
  it('demands signed requests and responses besides', () => {
    expect(parseClientMetadata(signing)).toMatchObject({
      require_pushed_authorization_requests: true,
      require_signed_request_object: true,
      response_modes: ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'],
    });
  });

  it.each([
    ['an unsigned response', { response_modes: ['query', 'jwt'] }, 'response_modes'],
    [
      'a client without a key for its requests',
      {
        jwks: undefined,
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: 'CN=a',
      },
      'request objects need',
    ],
  ])('refuses %s', (_name, members, fault) => {
    expect(faultsOf(signing)).toBe('');
    expect(faultsOf({ ...signing, ...members })).toContain(fault);
  });
});

describe('Every profile', () => {
  it.each([
    ['two keys of one kid', [key, { ...publicJwk('ec', { namedCurve: 'P-256' }), kid: 'a' }]],
    ['a short RSA key', [publicJwk('rsa', { modulusLength: 1024 })]],
    ['a private key', [{ ...key, d: 'secret' }]],
  ])('refuses %s', (_name, keys) => {
    const long = publicJwk('rsa', { modulusLength: 2048 });
    expect(faultsOf({ ...base, jwks: { keys: [key, long] } })).toBe('');
    for (const metadata of [base, fapi2, signing]) {
      expect(faultsOf({ ...metadata, jwks: { keys } })).toContain('jwks');
    }
  });

  it('binds tokens to a certificate or by DPoP, not by both', () => {
    const both = { ...base, tls_client_certificate_bound_access_tokens: true };
    expect(faultsOf(both)).toContain('not by both');
  });

  it('lets a client with a certificate bind its tokens by DPoP', () => {
    const metadata = parseClientMetadata({
      ...base,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=a',
    });
    expect(metadata['tls_client_certificate_bound_access_tokens']).toBeUndefined();
  });

  it('is one of the three', () => {
    expect(faultsOf({ ...base, security_profile: 'fapi1' })).toContain('security_profile');
  });
});

describe('The least profile of a server', () => {
  it('is that of who names none', () => {
    expect(parseClientMetadata(base, { minimumProfile: 'fapi2' })).toMatchObject({
      security_profile: 'fapi2',
      require_pushed_authorization_requests: true,
    });
    expect(parseClientMetadata(base)['security_profile']).toBeUndefined();
  });

  it('refuses who names a lower one, and says which', () => {
    const named = { ...base, security_profile: 'baseline' };
    expect(faultsOf(named, 'fapi2')).toContain('baseline, and this server accepts fapi2');
    expect(faultsOf(fapi2, 'fapi2-message-signing')).toContain('accepts fapi2-message-signing');
    expect(faultsOf(fapi2, 'fapi2')).toBe('');
    expect(faultsOf(signing, 'fapi2')).toBe('');
  });

  it('does not concern a resource server’s own client, which gets no tokens', () => {
    const own = { client_id: 'rs', grant_types: [] };
    expect(faultsOf(own, 'fapi2')).toBe('');
    expect(refusalOf(parseClientMetadata(own), 'fapi2')).toBeUndefined();
  });

  it('refuses who was registered before', () => {
    expect(refusalOf(parseClientMetadata(base), 'baseline')).toBeUndefined();
    expect(refusalOf(parseClientMetadata(base), 'fapi2')).toContain('baseline');
    expect(refusalOf(parseClientMetadata(fapi2), 'fapi2')).toBeUndefined();
  });

  it('refuses stored metadata that does not keep to its own profile', () => {
    const stored = parseClientMetadata(fapi2);
    const changed = { ...stored, require_pushed_authorization_requests: false };
    expect(refusalOf(changed, 'baseline')).toContain('require_pushed_authorization_requests');
  });
});

describe('An assessment', () => {
  const assess = (metadata: unknown) =>
    assessClient({ id: 'x', metadata: parseClientMetadata(metadata) });

  it('finds nothing missing where the profile is there', () => {
    const { fapi2: security, messageSigning, rfc9700 } = assess(signing);
    expect({ security, messageSigning, rfc9700 }).toEqual({
      security: [],
      messageSigning: [],
      rfc9700: [],
    });
  });

  it('names what a client with a secret has to change', () => {
    const web = { client_id: 'x', redirect_uris: ['https://a.test/cb'] };
    const { profile, fapi2: security, messageSigning, rfc9700 } = assess(web);
    expect(profile).toBe('baseline');
    const all = [...security, ...messageSigning, ...rfc9700].join('\n');
    for (const part of [
      'token_endpoint_auth_method',
      'must be bound',
      'id_token_signed_response_alg',
      'require_pushed_authorization_requests',
      'require_signed_request_object',
      '§2.5',
      '§2.2.1',
    ]) {
      expect(all).toContain(part);
    }
  });

  it('names what a public client leaves open', () => {
    const app = {
      client_id: 'x',
      application_type: 'native',
      redirect_uris: ['com.example.app:/cb'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    };
    expect(assess(app).rfc9700.map((sentence) => sentence.split(':')[0])).toEqual([
      '§2.2.1',
      '§2.2.2',
      '§4.1',
    ]);
  });
});

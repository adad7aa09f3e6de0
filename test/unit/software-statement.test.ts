import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCompactJws } from '../../src/clients/registration/compact-jws.ts';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import {
  permissionsOfRoles,
  permittedAmong,
  permittedByBoth,
} from '../../src/clients/registration/directory.ts';
import {
  readAsked,
  registrableMembers,
} from '../../src/clients/registration/registration-metadata.ts';
import { parseStatementClaims } from '../../src/clients/registration/software-statement-metadata.ts';
import type { SoftwareStatement } from '../../src/clients/registration/software-statement-metadata.ts';

const names = {
  softwareId: 'software_id',
  softwareVersion: 'software_version',
  clientName: 'software_client_name',
  redirectUris: 'software_redirect_uris',
  roles: 'software_roles',
  jwksUri: 'software_jwks_uri',
  jwks: 'software_jwks',
  organisationId: 'org_id',
};

const claim = fc.constantFrom(...Object.values(names), 'iss', '__proto__', 'constructor');

function areNamed(faults: readonly string[]): boolean {
  const isNamed = (fault: string) => Object.values(names).some((name) => fault.startsWith(name));
  return faults.length > 0 && faults.every(isNamed);
}

function isOf(statement: SoftwareStatement, claims: Record<string, unknown>): boolean {
  const texts = [...statement.redirectUris, ...statement.roles];
  return (
    statement.softwareId === claims['software_id'] &&
    texts.every((text) => typeof text === 'string')
  );
}

describe('The claims of a statement', () => {
  it('are read, or every fault is named, whatever they are', () => {
    fc.assert(
      fc.property(fc.dictionary(claim, fc.jsonValue()), (claims) => {
        const found = parseStatementClaims(claims, names);
        expect('faults' in found ? areNamed(found.faults) : isOf(found.statement, claims)).toBe(
          true,
        );
      }),
    );
  });

  it('are found by the names that the directory gives them', () => {
    const own = { ...names, softwareId: 'sw', roles: 'what_it_may' };
    const found = parseStatementClaims({ sw: 'one', what_it_may: ['AISP'], software_id: 2 }, own);
    expect(found).toMatchObject({ statement: { softwareId: 'one', roles: ['AISP'] } });
  });
});

describe('A compact JWS', () => {
  it('is taken apart, or is none', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.jsonValue(), fc.jsonValue())
        .map(([header, claims]) =>
          [header, claims, 'AAAA']
            .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
            .join('.'),
        ),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        const found = readCompactJws(candidate, 5);
        const parts: unknown[] = 'why' in found ? [] : [found.header, found.claims];
        expect(parts.every((part) => typeof part === 'object' && !Array.isArray(part))).toBe(true);
      }),
    );
  });

  it('is not one whose parts are no UTF-8', () => {
    const broken = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
    expect(readCompactJws(`${broken}.${broken}.AA`, 5)).toEqual({
      why: 'it is a JWS, but not of UTF-8',
    });
  });
});

describe('What a client asks for', () => {
  it('has only members that may be registered, whatever is sent', () => {
    const member = fc.oneof(fc.constantFrom<string>(...registrableMembers), fc.string());
    fc.assert(
      fc.property(fc.dictionary(member, fc.jsonValue()), (body) => {
        const read = readAsked(body);
        const members = 'faults' in read ? [] : Object.keys(read.asked.members);
        const known: readonly string[] = registrableMembers;
        expect(members.filter((name) => !known.includes(name))).toEqual([]);
      }),
    );
  });

  it('is among what metadata knows: nothing that may be registered is unknown there', () => {
    const every = Object.fromEntries(registrableMembers.map((name) => [name, 0]));
    expect(() => parseClientMetadata({ ...every, client_id: 'a' })).not.toThrow(/Unrecognized/);
    expect(() => parseClientMetadata({ other: 0, client_id: 'a' })).toThrow(/Unrecognized/);
  });

  it('never includes what raises privileges', () => {
    for (const name of ['client_id', 'client_secret', 'security_profile', 'scope', 'status']) {
      expect(registrableMembers).not.toContain(name);
    }
  });
});

const api = fc.constantFrom('https://a.example', 'https://b.example');
const scope = fc.constantFrom('one', 'two', 'three');
const permissions = fc.dictionary(api, fc.uniqueArray(scope, { minLength: 1 }));

/** Resource server and scope in one text. */
function flat(all: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(all)
    .flatMap(([resource, scopes]) => scopes.map((name) => `${resource} ${name}`))
    .toSorted();
}

describe('Permissions', () => {
  it('of roles are those of each together, and of unknown ones none', () => {
    fc.assert(
      fc.property(permissions, permissions, (first, second) => {
        const directory = { roles: { first, second } };
        const both = permissionsOfRoles(directory, ['first', 'second', 'third', '__proto__']);
        expect(flat(both)).toEqual([...new Set([...flat(first), ...flat(second)])].toSorted());
        expect(permissionsOfRoles(directory, ['toString'])).toEqual({});
      }),
    );
  });

  it('are never more than either side has', () => {
    fc.assert(
      fc.property(permissions, permissions, fc.array(scope), (one, other, asked) => {
        const shared = flat(permittedByBoth(one, other));
        expect(shared).toEqual(flat(one).filter((each) => flat(other).includes(each)));
        const limited = flat(permittedAmong(one, asked));
        expect(limited).toEqual(
          flat(one).filter((each) => asked.some((name) => each.endsWith(` ${name}`))),
        );
      }),
    );
  });
});

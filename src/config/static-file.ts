import { z } from 'zod';
import { Problem } from '../problem.ts';
import { readJsonFile } from './json-file.ts';

/** A resource server as files declare it. */
export const declaredResourceServer = z.strictObject({
  identifier: z.url(),
  name: z.string().min(1).max(100),
  accessTokenFormat: z.enum(['jwt', 'opaque']).default('jwt'),
  accessTokenTtlSeconds: z.int().min(60).max(900).optional(),
  signingAlgorithm: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).default('RS256'),
  introspectionClientId: z.string().optional(),
  scopes: z.record(
    z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,100}$/),
    z.record(z.string(), z.string().min(1).max(300)),
  ),
});

/** A client as files declare it. */
export const declaredClient = z.strictObject({
  /** RFC 7591 client metadata, with `client_id`, without `client_secret`. */
  metadata: z.looseObject({ client_id: z.string().min(1) }),
  /** Path of a file that holds the client secret, where the client has one. */
  clientSecretFile: z.string().optional(),
  /** Resource server identifier → scopes that the client may request there. */
  permissions: z.record(z.string(), z.array(z.string())).default({}),
});

/** A receiver of security events as the file declares it. */
const declaredEventStream = z.strictObject({
  id: z.string(),
  client: z.string().optional(),
  resourceServer: z.string().optional(),
  delivery: z.enum(['push', 'poll']),
  endpoint: z.string().optional(),
  /** Path of a file that holds the Authorization header of a push. */
  authorizationFile: z.string().optional(),
  algorithm: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).optional(),
});

const staticConfiguration = z.strictObject({
  resourceServers: z.array(declaredResourceServer).default([]),
  clients: z.array(declaredClient).default([]),
  eventStreams: z.array(declaredEventStream).optional(),
});

/** Resource servers, clients and receivers of events that a file declares; the file owns them. */
export type StaticConfiguration = z.infer<typeof staticConfiguration>;

/** Reads and checks the static configuration file. Problem('configuration_invalid') names every fault at once. */
export function readStaticConfiguration(file: string): StaticConfiguration {
  return parseStaticConfiguration(readJsonFile(file), file);
}

/** Checks an already read value; `origin` names it in errors. */
export function parseStaticConfiguration(value: unknown, origin: string): StaticConfiguration {
  const result = staticConfiguration.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Problem('configuration_invalid', { detail: `${origin}: ${faults.join('; ')}` });
}

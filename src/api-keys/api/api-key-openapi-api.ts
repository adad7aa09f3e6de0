import { z } from 'zod';
import { apiPath, managingScope } from './api-key-places-api.ts';
import {
  creationRequest,
  keyListResponse,
  keyResponse,
  newKeyResponse,
  problemResponse,
  rotationRequest,
  usageResponse,
  verificationRequest,
  verificationResponse,
} from './api-key-shapes-api.ts';

type Json = Record<string, unknown>;

const schemas = {
  CreationRequest: creationRequest,
  RotationRequest: rotationRequest,
  VerificationRequest: verificationRequest,
  Key: keyResponse,
  NewKey: newKeyResponse,
  KeyList: keyListResponse,
  Usage: usageResponse,
  Verification: verificationResponse,
  Problem: problemResponse,
} as const;

type SchemaName = keyof typeof schemas;

/** Zod's JSON Schema is the dialect of OpenAPI 3.1 (draft 2020-12). */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

const content = (name: SchemaName, type = 'application/json'): Json => ({
  content: { [type]: { schema: { $ref: `#/components/schemas/${name}` } } },
});

const answer = (description: string, name: SchemaName): Json => ({ description, ...content(name) });

function refusals(...statuses: readonly number[]): Json {
  const refusal = {
    description: 'Refused; the body says why.',
    ...content('Problem', 'application/problem+json'),
  };
  return Object.fromEntries(statuses.map((status) => [String(status), refusal]));
}

const body = (name: SchemaName): Json => ({ requestBody: { required: true, ...content(name) } });

const managing = { security: [{ clientCredentials: [managingScope] }] };

const idempotencyKey: Json = {
  ...{ name: 'x-idempotency-key', in: 'header', required: false },
  description:
    'The same key and body make one key; the answer to a repetition has all but the key itself.',
  schema: { type: 'string', minLength: 1, maxLength: 100 },
};

const query = (name: string, description: string, format: string): Json => ({
  ...{ name, in: 'query', required: false, description },
  schema: { type: 'string', format },
});

const keyId: Json = {
  ...{ name: 'id', in: 'path', required: true },
  schema: { type: 'string', format: 'uuid' },
};

const paths: Json = {
  [`${apiPath}/keys`]: {
    get: {
      ...{ operationId: 'listKeys', summary: 'Your keys, the newest first.', ...managing },
      parameters: [query('after', 'Where the last page ended.', 'uuid')],
      responses: { '200': answer('The keys.', 'KeyList'), ...refusals(400, 401, 403) },
    },
    post: {
      ...{ operationId: 'createKey', summary: 'Makes a key, which is told this once.' },
      ...managing,
      ...{ parameters: [idempotencyKey], ...body('CreationRequest') },
      responses: {
        '201': answer('The key.', 'NewKey'),
        ...refusals(400, 401, 403, 409, 413, 415),
      },
    },
  },
  [`${apiPath}/keys/{id}`]: {
    parameters: [keyId],
    get: {
      ...{ operationId: 'getKey', summary: 'A key, without the key itself.', ...managing },
      responses: { '200': answer('The key.', 'Key'), ...refusals(401, 403, 404) },
    },
    delete: {
      ...{ operationId: 'revokeKey', summary: 'Ends a key at once.', ...managing },
      responses: { '204': { description: 'Ended.' }, ...refusals(401, 403, 404) },
    },
  },
  [`${apiPath}/keys/{id}/rotate`]: {
    parameters: [keyId],
    post: {
      ...{ operationId: 'rotateKey', summary: 'Makes a successor; both work for the overlap.' },
      ...{ ...managing, ...body('RotationRequest') },
      responses: {
        '201': answer('The successor.', 'NewKey'),
        ...refusals(400, 401, 403, 404, 409, 413, 415),
      },
    },
  },
  [`${apiPath}/keys/{id}/usage`]: {
    parameters: [keyId],
    get: {
      ...{ operationId: 'getUsage', summary: 'How often it was used, by day.', ...managing },
      parameters: [
        query('from', 'The first day (UTC); 30 days ago without.', 'date'),
        query('to', 'The last day (UTC); today without.', 'date'),
      ],
      responses: { '200': answer('The days.', 'Usage'), ...refusals(400, 401, 403, 404) },
    },
  },
  [`${apiPath}/verify`]: {
    post: {
      operationId: 'verifyKey',
      summary: 'For resource servers: what a key allows with you at this moment.',
      security: [{ resourceServer: [] }, { resourceServerCertificate: [] }],
      ...body('VerificationRequest'),
      responses: {
        '200': answer('Active, or not for whatever reason.', 'Verification'),
        ...refusals(400, 401, 413, 415),
      },
    },
  },
};

const securitySchemes = {
  clientCredentials: {
    type: 'oauth2',
    description: 'Bound to the certificate of the connection (RFC 8705).',
    flows: {
      clientCredentials: { tokenUrl: '/token', scopes: { [managingScope]: 'Manage your keys.' } },
    },
  },
  resourceServer: { type: 'http', scheme: 'basic' },
  resourceServerCertificate: { type: 'mutualTLS' },
};

/** The OpenAPI 3.1 description of the API, made from the schemas that requests are checked with. */
export function apiKeyOpenApi(): Json {
  return {
    openapi: '3.1.1',
    info: {
      ...{ title: 'API keys', version: '1' },
      description: 'Keys are managed on the mTLS host; they are verified on either.',
    },
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(schemas).map(([name, schema]) => [name, schemaOf(schema)]),
      ),
      securitySchemes,
    },
  };
}

import { z } from 'zod';
import type { ConsentCollection, ConsentDialect } from './consent-dialect-api.ts';
import { consumptionRequest, consumptionResponse } from './consent-consumption-api.ts';
import { dialects } from './consent-places-api.ts';

type Json = Record<string, unknown>;

/** Zod's JSON Schema is the dialect of OpenAPI 3.1 (draft 2020-12). */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

const capitalised = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

const json = (schema: Json): Json => ({ content: { 'application/json': { schema } } });

const problem: Json = { description: 'Refused; the body says why.' };

const interactionId: Json = { $ref: '#/components/parameters/InteractionId' };
const consentId: Json = { $ref: '#/components/parameters/ConsentId' };

function refusals(...statuses: readonly number[]): Json {
  return Object.fromEntries(statuses.map((status) => [String(status), problem]));
}

function keyParameter({ idempotencyKey }: ConsentCollection): Json {
  return {
    name: 'x-idempotency-key',
    in: 'header',
    required: idempotencyKey === 'required',
    description: 'The same key and body within 24 hours give the same consent.',
    schema: { type: 'string', minLength: 1, maxLength: 40 },
  };
}

function securityOf({ regime }: ConsentDialect, { type }: ConsentCollection): Json[] {
  return [{ clientCredentials: [regime.lodgingScopes[type ?? 'accounts']] }];
}

function pathsOf(dialect: ConsentDialect, collection: ConsentCollection): Json {
  const [path = ''] = collection.paths;
  const name = capitalised(collection.name);
  const security = securityOf(dialect, collection);
  const response = (description: string) => ({
    description,
    ...json(reference(`${name}Response`)),
  });
  const end = {
    operationId: `delete${name}`,
    summary: 'Takes an undecided consent back, or ends an authorised one with all its tokens.',
    ...{ security, parameters: [interactionId] },
    responses: { '204': { description: 'Ended.' }, ...refusals(400, 401, 403) },
  };
  return {
    [path]: {
      post: {
        operationId: `create${name}`,
        summary: 'Lodges a consent for the customer to decide.',
        ...{ security, parameters: [keyParameter(collection), interactionId] },
        requestBody: { required: true, ...json(reference(`${name}Request`)) },
        responses: { '201': response('Lodged.'), ...refusals(400, 401, 403, 413, 415) },
      },
    },
    [`${path}/{ConsentId}`]: {
      parameters: [consentId],
      get: {
        operationId: `get${name}`,
        summary: 'The consent as it is now.',
        ...{ security, parameters: [interactionId] },
        responses: { '200': response('The consent.'), ...refusals(400, 401, 403, 404) },
      },
      ...(collection.isDeletable ? { delete: end } : {}),
    },
  };
}

const statusPath: Json = {
  '/consents/v1/{ConsentId}/status': {
    parameters: [consentId],
    get: {
      operationId: 'getConsentStatus',
      summary: 'For resource servers: what the consent allows at this moment.',
      security: [{ resourceServer: [] }],
      parameters: [interactionId],
      responses: {
        '200': { description: 'The state.', ...json({ type: 'object' }) },
        '304': { description: 'As the ETag says.' },
        ...refusals(401, 404),
      },
    },
  },
};

const consumptionPath: Json = {
  '/consents/v1/{ConsentId}/consumption': {
    parameters: [consentId],
    post: {
      operationId: 'consumeConsent',
      summary:
        'For resource servers: uses a payment consent up, for one payment. The same payment may be told again.',
      security: [{ resourceServer: [] }],
      parameters: [interactionId],
      requestBody: { required: true, ...json(reference('ConsumptionRequest')) },
      responses: {
        '200': {
          description: 'Used up by this payment.',
          ...json(reference('ConsumptionResponse')),
        },
        ...refusals(400, 401, 404, 409, 413, 415),
      },
    },
  },
};

const components = {
  parameters: {
    ConsentId: { name: 'ConsentId', in: 'path', required: true, schema: { type: 'string' } },
    InteractionId: {
      ...{ name: 'x-fapi-interaction-id', in: 'header', required: false },
      schema: { type: 'string', format: 'uuid' },
    },
  },
  securitySchemes: {
    clientCredentials: {
      type: 'oauth2',
      description: 'Bound to the certificate of the connection (RFC 8705).',
      flows: { clientCredentials: { tokenUrl: '/token', scopes: scopes() } },
    },
    resourceServer: { type: 'http', scheme: 'basic' },
  },
};

function scopes(): Json {
  const names = dialects.flatMap(({ regime }) => Object.values(regime.lodgingScopes));
  return Object.fromEntries([...new Set(names)].map((name) => [name, 'Lodge, read and end.']));
}

/** The OpenAPI 3.1 description of all consent APIs, made from the schemas that requests are checked with. */
export function consentOpenApi(): Json {
  const all = dialects.flatMap((dialect) =>
    dialect.collections.map((collection) => ({ dialect, collection })),
  );
  const schemas = all.flatMap(({ collection }) => [
    [`${capitalised(collection.name)}Request`, schemaOf(collection.request)] as const,
    [`${capitalised(collection.name)}Response`, schemaOf(collection.response)] as const,
  ]);
  const paths = all.map(({ dialect, collection }) => pathsOf(dialect, collection));
  return {
    openapi: '3.1.1',
    info: { title: 'Consents', version: '1', description: 'Offered on the mTLS host.' },
    paths: Object.assign({}, ...paths, statusPath, consumptionPath) as Json,
    components: {
      schemas: {
        ...Object.fromEntries(schemas),
        ConsumptionRequest: schemaOf(consumptionRequest),
        ConsumptionResponse: schemaOf(consumptionResponse),
      },
      ...components,
    },
  };
}

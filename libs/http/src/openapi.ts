import { z } from 'zod';
import { FORM } from './form.ts';
import {
  commonProblems,
  headers,
  PROBLEM_RESPONSE,
  problemDocument,
  problemsOf,
} from './openapi-problems.ts';
import type { HttpReply, HttpRoute, Operation } from './route.ts';
import { API_MOUNTS } from './route-table.ts';
import { TAGS } from './tags.ts';
import { toYaml } from './yaml.ts';

/** The OpenAPI 3.1 document of the operations among these routes. All but `paths` is the same for any of them. */
export function openApiDocument(routes: readonly HttpRoute[], version: string): object {
  const operations = routes.filter((route): route is Operation => route.kind === 'operation');
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(PARAMETER, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation) };
  }
  const [mount, alias] = API_MOUNTS;
  return {
    openapi: '3.1.0',
    info: {
      title: 'GigVault',
      version,
      summary: 'Certificates, keys, and the people and services that use them',
      description: ABOUT,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [
      { url: mount, description: 'Clients with an access token' },
      { url: alias, description: 'The same, shorter' },
    ],
    security: [
      { accessToken: [] },
      { clientCredentials: [] },
      { apiKey: [] },
      { apiKeyHeader: [] },
    ],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => a.localeCompare(b))),
    components: {
      securitySchemes: {
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'What `POST /token` answers',
        },
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key (`gv_key_…`) itself, for clients that ask seldom',
        },
        apiKeyHeader: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description: 'The same, for clients that cannot send Authorization',
        },
        clientCredentials: {
          type: 'oauth2',
          description: 'The API key is the client secret; the client id may be any text',
          flows: { clientCredentials: { tokenUrl: `${mount}/token`, scopes: {} } },
        },
      },
      schemas: { Problem: schemaOf(problemDocument, 'output') },
      examples: commonProblems(),
      headers: HEADERS,
      responses: { Problem: PROBLEM_RESPONSE },
    },
  };
}

/** A document as it is sent, by the path that answers it. */
export interface OpenApiReplies {
  readonly '/openapi.json': HttpReply;
  /** RFC 9512, for people and for tools that read nothing else. */
  readonly '/openapi.yaml': HttpReply;
}

/** The document as octets, to be kept: anybody may ask for it, without a credential and as often as they like. */
export function openApiReplies(document: object): OpenApiReplies {
  return {
    '/openapi.json': written('application/json', JSON.stringify(document)),
    '/openapi.yaml': written('application/yaml', toYaml(document)),
  };
}

function written(type: string, text: string): HttpReply {
  return { status: 200, headers: { 'content-type': type }, body: Buffer.from(text) };
}

/** A parameter of a path, as Fastify writes it. */
const PARAMETER = /:(\w+)/g;

const ABOUT = `The management API of GigVault. Three requests from nothing to a certificate:

1. \`POST /token\` with an API key answers an access token, good for 15 minutes. \`gigvault apikey create\` makes API keys; on this page, **Authorize** takes one as the client secret.
2. \`POST /certificates\` with a certification request answers the certificate, or 202 when people have to approve it.
3. \`GET /certificates\` lists what you asked for.

Good to know:

- **Errors** are problem documents (RFC 9457). \`error.code\` is for programs, \`detail\` for people, \`errors\` names each field.
- **Lists** are read page by page: give \`nextCursor\` back as \`cursor\` until there is none.
- **Repetitions**: where an \`Idempotency-Key\` is taken, the same key makes nothing twice. Use a new UUID for each new thing.
- **Limits**: \`RateLimit\` says what is left, \`Retry-After\` when to come again.
- **Values**: times are RFC 3339 in UTC, serial numbers lower-case hex, everything DER is PEM.`;

const HEADERS = {
  RateLimit: header(
    'Requests left (`r`) and seconds until the whole quota is back (`t`)',
    '"client";r=199;t=1',
  ),
  'RateLimit-Policy': header(
    'The quota (`q`) and its window in seconds (`w`)',
    '"client";q=200;w=2',
  ),
  'Retry-After': header('Seconds after which the same request may succeed', 1),
  'WWW-Authenticate': header('How to sign in (RFC 6750)', 'Bearer realm="gigvault"'),
};

function header(description: string, example: string | number): object {
  return {
    description,
    schema: { type: typeof example === 'number' ? 'integer' : 'string' },
    example,
  };
}

function describe(operation: Operation): object {
  const { operationId, summary, tag, permission, form } = operation;
  const parameters = [
    ...parametersOf(operation, 'path'),
    ...parametersOf(operation, 'query'),
    ...idempotencyParameter(operation),
  ];
  return {
    operationId,
    summary,
    description: descriptionOf(operation),
    tags: [tag],
    ...(permission === 'anonymous' ? { security: [] } : {}),
    ...(permission.includes(':') ? { 'x-permission': permission } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(operation.body ? { requestBody: bodyOf(operation) } : {}),
    responses: {
      ...repliesOf(operation),
      ...(form ? withFormErrors(problemsOf(operation), form) : problemsOf(operation)),
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function descriptionOf({ description, permission }: Operation): string {
  const who = {
    anonymous: 'The body is the credential: no access token is needed.',
    'signed-in': 'For anybody who is signed in.',
  }[permission as string];
  const needs = who ?? `Needs the permission \`${permission}\`.`;
  return description === undefined ? needs : `${description}\n\n${needs}`;
}

function bodyOf({ body, examples, form }: Operation): object {
  return {
    required: true,
    content: {
      'application/json': { schema: schemaOf(body as z.ZodType), example: examples.body },
      ...(form && {
        [FORM]: {
          schema: schemaOf(form.body),
          example: form.examples.body,
        },
      }),
    },
  };
}

const MEANINGS: Readonly<Record<string, string>> = {
  200: 'Done',
  201: 'Created',
  202: 'Accepted; people have to decide',
  204: 'Done, there is nothing to say',
};

function repliesOf(operation: Operation): Record<string, object> {
  return Object.fromEntries(
    Object.entries(operation.replies).map(([status, schema]) => [
      status,
      {
        description: MEANINGS[status] ?? 'Done',
        headers: {
          ...headers('RateLimit', 'RateLimit-Policy'),
          ...(operation.location && status !== '204'
            ? { Location: { description: operation.location, schema: { type: 'string' } } }
            : {}),
        },
        ...(status === '204'
          ? {}
          : { content: { 'application/json': reply(operation, status, schema) } }),
      },
    ]),
  );
}

function reply({ form, examples }: Operation, status: string, schema: z.ZodType): object {
  const value = examples.replies[Number(status)];
  if (!form) return { schema: schemaOf(schema, 'output'), example: value };
  return {
    schema: { anyOf: [schemaOf(schema, 'output'), schemaOf(form.reply, 'output')] },
    examples: {
      json: { summary: 'To a JSON body', value },
      form: { summary: 'To a form', value: form.examples.reply },
    },
  };
}

/** A form is refused in the words of its standard. */
function withFormErrors(
  problems: Record<string, object>,
  { error, examples }: NonNullable<Operation['form']>,
): Record<string, object> {
  const content = {
    'application/json': { schema: schemaOf(error, 'output'), example: examples.error },
  };
  return Object.fromEntries(
    Object.entries(problems).map(([status, problem]) => {
      const known = (problem as { content: object }).content;
      return [status, { ...problem, content: { ...known, ...content } }];
    }),
  );
}

function idempotencyParameter({ idempotencyKey }: Operation): object[] {
  if (idempotencyKey === undefined) return [];
  return [
    {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description: `Yours to choose, as a UUID. ${idempotencyKey}`,
      schema: { type: 'string', minLength: 1, maxLength: 255 },
      example: '7d3c1f0e-8f2b-4a55-9d0c-2b1f6f3f9f10',
    },
  ];
}

function parametersOf(operation: Operation, place: 'path' | 'query'): object[] {
  const schema = place === 'path' ? operation.params : operation.query;
  const names =
    place === 'path' ? [...operation.path.matchAll(PARAMETER)].map(([, name]) => name) : [];
  const object = schema ? (schemaOf(schema) as ObjectSchema) : {};
  const properties: Readonly<Record<string, { description?: string }>> =
    object.properties ?? Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  const examples = place === 'path' ? operation.examples.params : operation.examples.query;
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || (object.required?.includes(name) ?? false),
    ...(description === undefined ? {} : { description }),
    schema: property,
    ...(examples?.[name] === undefined ? {} : { example: examples[name] }),
  }));
}

interface ObjectSchema {
  readonly properties?: Record<string, { description?: string }>;
  readonly required?: readonly string[];
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'input'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<
    string,
    unknown
  >;
  return rest;
}

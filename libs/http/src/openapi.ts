import { z } from 'zod';
import type { HttpRoute, Operation } from './route.ts';
import { API_MOUNTS } from './route-table.ts';

/** The OpenAPI 3.1 document of the operations among these routes. */
export function openApiDocument(routes: readonly HttpRoute[], version: string): object {
  const operations = routes.filter((route): route is Operation => route.kind === 'operation');
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(PARAMETER, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'GigVault',
      version,
      description: 'The management API. Errors are RFC 9457 problem documents.',
    },
    servers: [{ url: API_MOUNTS[0], description: 'Clients with an access token' }],
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => a.localeCompare(b))),
    components: {
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: PROBLEM },
      responses: {
        Problem: {
          description: 'What failed and why',
          content: {
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          },
        },
      },
    },
  };
}

/** A parameter of a path, as Fastify writes it. */
const PARAMETER = /:(\w+)/g;

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'error'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    traceId: { type: 'string' },
    error: {
      type: 'object',
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        details: { type: 'object' },
      },
    },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          pointer: { type: 'string' },
          code: { type: 'string' },
          message: { type: 'string' },
        },
      },
    },
  },
};

function describe(operation: Operation): object {
  const body = operation.body && {
    required: true,
    content: {
      'application/json': {
        schema: schemaOf(operation.body),
        ...(operation.example?.body === undefined ? {} : { example: operation.example.body }),
      },
    },
  };
  return {
    operationId: operation.operationId,
    summary: operation.summary,
    tags: [operation.tag],
    security: operation.permission === 'anonymous' ? [] : [{ accessToken: [] }],
    ...(operation.permission === 'anonymous' || operation.permission === 'signed-in'
      ? {}
      : { 'x-permission': operation.permission }),
    parameters: [...parameters(operation, 'path'), ...parameters(operation, 'query')],
    ...(body ? { requestBody: body } : {}),
    responses: { ...replies(operation), default: { $ref: '#/components/responses/Problem' } },
  };
}

function replies(operation: Operation): Record<string, object> {
  return Object.fromEntries(
    Object.entries(operation.replies).map(([status, schema]) => [
      status,
      { description: operation.summary, ...(status === '204' ? {} : content(operation, schema)) },
    ]),
  );
}

function content(operation: Operation, schema: z.ZodType): object {
  const example = operation.example?.reply;
  return {
    content: {
      'application/json': {
        schema: schemaOf(schema, 'output'),
        ...(example === undefined ? {} : { example }),
      },
    },
  };
}

function parameters(operation: Operation, place: 'path' | 'query'): object[] {
  const schema = place === 'path' ? operation.params : operation.query;
  const names =
    place === 'path' ? [...operation.path.matchAll(PARAMETER)].map((m) => m[1] as string) : [];
  const object = schema
    ? (schemaOf(schema) as { properties?: Record<string, object>; required?: string[] })
    : {};
  const properties =
    object.properties ?? Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || (object.required?.includes(name) ?? false),
    schema: property,
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'input'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<
    string,
    unknown
  >;
  return rest;
}

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { z } from 'zod';
import { NO_DOOR } from '../src/admit.ts';
import { apiDocsRoutes } from '../src/api-docs.ts';
import type { HttpServer } from '../src/http-server.ts';
import { openApiDocument } from '../src/openapi.ts';
import { operation } from '../src/route.ts';
import { call, ROUTES, start, stopAll } from './test-server.ts';

type Document = {
  paths: Record<
    string,
    Record<string, { responses: Record<string, object>; [key: string]: unknown }>
  >;
};

const remove = operation({
  operationId: 'deleteUserKey',
  method: 'DELETE',
  path: '/users/:userId/keys/:key2',
  tag: 'Users',
  summary: 'Deletes a key',
  permission: 'anonymous',
  replies: { 204: z.undefined() },
  examples: { replies: {} },
  handle: async () => ({ status: 204 }),
});
const routes = [...ROUTES.map(({ route }) => route), remove];
const document = openApiDocument(routes, '1.2.3') as Document;

describe('the OpenAPI document', () => {
  it('is a valid one of version 3.1', async () => {
    const verdict = await new Validator().validate(structuredClone(document));
    expect(verdict).toEqual({ valid: true });
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
  });

  it('holds every operation and no route of a protocol', () => {
    expect(Object.keys(document.paths)).toEqual([
      '/users',
      '/users/{userId}',
      '/users/{userId}/keys/{key2}',
    ]);
  });

  it('describes an operation whole', () => {
    const ways = ['accessToken', 'clientCredentials', 'apiKey', 'apiKeyHeader'];
    expect(document).toMatchObject({ security: ways.map((way) => ({ [way]: [] })) });
    expect(document.paths['/users']?.['post']).toMatchObject({
      operationId: 'createUser',
      'x-permission': 'users:manage',
      parameters: [
        { name: 'dryRun', in: 'query', required: false, schema: { type: 'string' } },
        { name: 'Idempotency-Key', in: 'header', required: false },
      ],
      requestBody: {
        required: true,
        content: { 'application/json': { example: { name: 'ada' } } },
      },
      responses: {
        201: {
          headers: { Location: { description: 'The user' }, RateLimit: expect.any(Object) },
          content: { 'application/json': { example: { name: 'ada' } } },
        },
        default: { $ref: '#/components/responses/Problem' },
      },
    });
  });

  it('shows every problem document that an operation may answer, as the server would make it', () => {
    const responses = document.paths['/users']?.['post']?.responses ?? {};
    expect(Object.keys(responses)).toEqual([
      '201',
      '400',
      '401',
      '403',
      '409',
      '413',
      '415',
      '429',
      'default',
    ]);
    expect(responses['409']).toMatchObject({
      description: 'Already exists',
      content: {
        'application/problem+json': {
          schema: { $ref: '#/components/schemas/Problem' },
          examples: {
            ALREADY_EXISTS: {
              value: {
                type: 'https://docs.gigvault.dev/errors/GV-ALREADY-EXISTS',
                status: 409,
                detail: 'User ada exists already.',
                instance: '/service/api/v1/users',
                error: { code: 'ALREADY_EXISTS' },
              },
            },
          },
        },
      },
    });
    expect(responses['429']).toMatchObject({ headers: { 'Retry-After': expect.any(Object) } });
    expect(responses['401']).toMatchObject({ headers: { 'WWW-Authenticate': expect.any(Object) } });
  });

  it('names parameters of the path that have no schema, and gives a 204 no content', () => {
    const deleted = document.paths['/users/{userId}/keys/{key2}']?.['delete'];
    expect(deleted?.['parameters']).toMatchObject([
      { name: 'userId', in: 'path', required: true },
      { name: 'key2', in: 'path', required: true },
    ]);
    expect(deleted?.['security']).toEqual([]);
    expect(deleted?.responses['204']).not.toHaveProperty('content');
    expect(Object.keys(deleted?.responses ?? {})).toEqual(['204', '400', '429', 'default']);
  });
});

describe('GET /docs', () => {
  let server: HttpServer;

  beforeAll(async () => {
    server = await start({
      routes: apiDocsRoutes().map((route) => ({ service: 'host', route, door: NO_DOOR })),
    });
  });

  afterAll(stopAll);

  it('is a page that loads nothing from elsewhere, and whatever it loads is here', async () => {
    const page = await call(server, '/docs');
    expect((await call(server, '/docs/')).text).toBe(page.text);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; /);
    expect(page.headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
    const own = links.filter((link) => link?.startsWith('/docs'));
    expect(own.length).toBeGreaterThan(6);
    expect(links.filter((link) => !link?.startsWith('/'))).toEqual([]);
    for (const link of own) {
      const answer = await call(server, String(link));
      expect([link, answer.status]).toEqual([link, 200]);
    }
  });
});

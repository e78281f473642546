import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { z } from 'zod';
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
  tag: 'users',
  summary: 'Deletes a key',
  permission: 'anonymous',
  replies: { 204: z.undefined() },
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
    expect(document.paths['/users']?.['post']).toMatchObject({
      operationId: 'createUser',
      security: [{ accessToken: [] }],
      'x-permission': 'users:manage',
      parameters: [{ name: 'dryRun', in: 'query', required: false, schema: { type: 'string' } }],
      requestBody: {
        required: true,
        content: { 'application/json': { example: { name: 'ada' } } },
      },
      responses: { 201: {}, default: { $ref: '#/components/responses/Problem' } },
    });
  });

  it('names parameters of the path that have no schema, and gives a 204 no content', () => {
    const deleted = document.paths['/users/{userId}/keys/{key2}']?.['delete'];
    expect(deleted?.['parameters']).toMatchObject([
      { name: 'userId', in: 'path', required: true },
      { name: 'key2', in: 'path', required: true },
    ]);
    expect(deleted?.['security']).toEqual([]);
    expect(deleted?.responses['204']).toEqual({ description: 'Deletes a key' });
  });
});

describe('GET /docs', () => {
  let server: HttpServer;

  beforeAll(async () => {
    const { authenticator } = ROUTES[0] as (typeof ROUTES)[number];
    server = await start({
      routes: apiDocsRoutes().map((route) => ({ service: 'host', route, authenticator })),
    });
  });

  afterAll(stopAll);

  it('is a page that loads nothing from elsewhere, and whatever it loads is here', async () => {
    const page = await call(server, '/docs');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; /);
    expect(page.headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
    expect(links).toHaveLength(5);
    for (const link of links.filter((l) => l !== '/openapi.json')) {
      const answer = await call(server, String(link));
      expect([link, answer.status]).toEqual([link, 200]);
    }
  });
});

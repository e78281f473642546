import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { openApiDocument, openApiReplies } from '../libs/http/src/openapi.ts';
import type { Operation } from '../libs/http/src/route.ts';
import { TAGS } from '../libs/http/src/tags.ts';
import { restOperations } from './reference/rest-page.ts';

const operations = Object.values(restOperations()).flat();
const document = openApiDocument(operations, '1.2.3') as Record<string, unknown>;
const named = operations.map((operation) => [operation.operationId, operation] as const);

describe('the examples of every operation (covers: X21)', () => {
  it.each(named)('%s: what it takes and what it answers', (_id, operation) => {
    const { params, query, body, replies, examples, form, path } = operation;
    const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
    expect(Object.keys(examples.params ?? {})).toEqual(inPath);
    expectFits(params, examples.params);
    if (query) expectFits(query, examples.query ?? {});
    expect(examples.body === undefined).toBe(body === undefined);
    expectFits(body, examples.body);
    const answered = Object.keys(replies).filter((status) => status !== '204');
    expect(Object.keys(examples.replies)).toEqual(answered);
    for (const status of answered)
      expectFits(replies[Number(status)], examples.replies[Number(status)]);
    expectFits(form?.body, form?.examples.body);
    expectFits(form?.reply, form?.examples.reply);
    expectFits(form?.error, form?.examples.error);
  });

  it('hold no field that a schema does not know', () => {
    const unknown = operations.flatMap(({ operationId, replies, examples }) =>
      Object.entries(examples.replies)
        .filter(([status, example]) => {
          const known = replies[Number(status)]?.parse(example);
          return JSON.stringify(sorted(known)) !== JSON.stringify(sorted(example));
        })
        .map(([status]) => `${operationId} ${status}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('the document', () => {
  it('names each operation once, in a chapter of its own choice', () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(operations.map(({ tag }) => tag))).toEqual(new Set(Object.keys(TAGS)));
    for (const { operationId, summary } of operations) {
      expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
      expect(summary).toMatch(/^[A-Z].{5,70}[^.]$/);
    }
  });

  it('says of every POST that makes something why it makes it once', () => {
    // The name of a user and the one use of a setup token are keys of their own; tokens are many.
    const keyless = ['createToken', 'redeemSetupToken', 'createUser', 'createSetupToken'];
    const makers = operations.filter(
      ({ method, replies }) => method === 'POST' && (201 in replies || 202 in replies),
    );
    for (const { operationId, idempotencyKey } of makers)
      expect([operationId, idempotencyKey === undefined]).toEqual([
        operationId,
        keyless.includes(operationId),
      ]);
  });

  it('has nothing that it refers to missing, and an example in every body', () => {
    for (const reference of references(document))
      expect([reference, resolve(document, reference)]).toEqual([reference, expect.anything()]);
    expect(bodies(document).filter((body) => !('example' in body || 'examples' in body))).toEqual(
      [],
    );
  });

  it('is the same in YAML', () => {
    expect(parse(String(openApiReplies(document)['/openapi.yaml'].body))).toEqual(
      JSON.parse(JSON.stringify(document)),
    );
  });
});

function expectFits(schema: Operation['body'], example: unknown): void {
  const verdict = schema?.safeParse(example);
  expect([example, verdict?.error?.issues ?? []]).toEqual([example, []]);
}

/** With the keys of every object in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

/** Every media type object. */
function bodies(node: unknown): object[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === 'content' ? Object.values(value as Record<string, object>) : bodies(value),
  );
}

/** Every `$ref` in a document. */
function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === '$ref' ? [String(value)] : references(value),
  );
}

function resolve(node: unknown, reference: string): unknown {
  return reference
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], node);
}

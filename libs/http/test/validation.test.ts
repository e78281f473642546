import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { type Place, validate } from '../src/validation.ts';

const schema = z.strictObject({
  name: z.string().min(1).max(5),
  kind: z.enum(['a', 'b']).optional(),
  only: z.literal('x').optional(),
  count: z.int().min(1).max(9).optional(),
  page: z.coerce.number().int().optional(),
  list: z
    .array(z.strictObject({ on: z.boolean() }))
    .min(1)
    .optional(),
  code: z.string().regex(/^\d$/, 'one digit').optional(),
});

function refusal(value: unknown, place: Place = 'body') {
  try {
    validate(schema, value, place);
  } catch (error) {
    return error as { message: string; problems: { pointer: string; message: string }[] };
  }
  throw new Error('it was accepted');
}

describe('what is wrong with a value is said in plain words', () => {
  it.each([
    [{}, '"name" is missing.'],
    [{ name: 7 }, '"name" must be a text.'],
    [{ name: null }, '"name" must be a text.'],
    [{ name: '' }, '"name" must not be empty.'],
    [{ name: 'abcdef' }, '"name" must have at most 5 characters.'],
    [{ name: 'a', kind: 'c' }, '"kind" must be one of a, b.'],
    [{ name: 'a', only: 1 }, '"only" must be "x".'],
    [{ name: 'a', count: '1' }, '"count" must be a number.'],
    [{ name: 'a', count: 1.5 }, '"count" must be a whole number.'],
    [{ name: 'a', count: 0 }, '"count" must be at least 1.'],
    [{ name: 'a', count: 10 }, '"count" must be at most 9.'],
    [{ name: 'a', page: 'x' }, '"page" must be a number.'],
    [{ name: 'a', list: {} }, '"list" must be a list.'],
    [{ name: 'a', list: [] }, '"list" must have at least 1 entry.'],
    [{ name: 'a', list: [{ on: 1 }] }, '"list[0].on" must be true or false.'],
    [{ name: 'a', list: [7] }, '"list[0]" must be a JSON object.'],
    [{ name: 'a', code: 'x' }, '"code" must be one digit.'],
    [{ name: 'a', more: 1 }, '"more" is not known here.'],
    [[], 'The body must be a JSON object.'],
    [null, 'The body must be a JSON object.'],
  ])('%j: %s', (value, message) => {
    expect(refusal(value).message).toBe(message);
  });

  it('names every fault, with a pointer for each', () => {
    const { message, problems } = refusal({ name: '', 'a/b': 1, list: [{}] });
    expect(message).toBe(
      '"name" must not be empty; "list[0].on" is missing; "a/b" is not known here.',
    );
    expect(problems).toEqual([
      { pointer: '/name', message: 'must not be empty' },
      { pointer: '/list/0/on', message: 'is missing' },
      { pointer: '/a~1b', message: 'is not known here' },
    ]);
  });

  it('says whether it is about the query or the path', () => {
    expect(refusal({ name: '' }, 'query')).toMatchObject({
      message: 'The query parameter "name" must not be empty.',
      problems: [{ pointer: '/query/name' }],
    });
    expect(refusal({ name: '' }, 'path').message).toBe('"name" in the path must not be empty.');
  });

  it.each(['a\0', 'a\n', '\x7f'])('refuses control characters in a URL: %j', (name) => {
    expect(refusal({ name }, 'path').message).toBe(
      '"name" in the path must not have control characters.',
    );
  });
});

describe('what is wrong with the form of a field is said with the form that it must have', () => {
  it.each<[z.ZodType, unknown, string]>([
    [z.base64(), '%', 'must be base64 (RFC 4648 §4)'],
    [z.uuid(), 'x', 'must be a UUID, as 3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11'],
    [z.iso.datetime(), 'x', 'must be a time as 2026-01-31T12:00:00Z (RFC 3339)'],
    [z.url(), 'x', 'must be a URL'],
    [z.string().regex(/^[0-9a-f]{16}$/), 'x', 'must match /^[0-9a-f]{16}$/'],
    [z.string().startsWith('/'), 'x', 'must begin with "/"'],
    [z.number().multipleOf(5), 7, 'must be a multiple of 5'],
    [z.union([z.string(), z.array(z.string())]), 7, 'must be a text, or must be a list'],
  ])('%#.', (field, value, message) => {
    expect(() => validate(z.strictObject({ field }), { field: value }, 'body')).toThrow(
      expect.objectContaining({ problems: [{ pointer: '/field', message }] }),
    );
  });
});

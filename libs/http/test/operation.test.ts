import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { api, call, forbidden, start, stopAll, TOKEN } from './test-server.ts';

let server: Awaited<ReturnType<typeof start>>;

beforeAll(async () => {
  server = await start();
});

afterAll(stopAll);

describe('an operation', () => {
  it('is served below both mounts (covers: X21, C52)', async () => {
    for (const mount of ['/service/api/v1', '/api/v1']) {
      const answer = await api(server, `${mount}/users`, { name: 'ada' });
      expect(answer.status).toBe(201);
      expect(answer.json()).toMatchObject({ name: 'ada', actor: 'user:admin' });
      expect(answer.headers['cache-control']).toBe('no-store');
    }
  });

  it('needs a token, and the permission that it names (covers: T63)', async () => {
    expect((await call(server, '/api/v1/users/1')).status).toBe(401);
    const headers = { authorization: 'Bearer auditor', 'content-type': 'application/json' };
    const answer = await call(server, '/api/v1/users', {
      method: 'POST',
      headers,
      body: '{"name":"a"}',
    });
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({
      error: { code: 'FORBIDDEN', details: { permission: 'users:manage' } },
    });
    expect(forbidden).toEqual([
      { permission: 'users:manage', operation: 'createUser', fields: {} },
    ]);
    expect((await call(server, '/api/v1/users/1', { headers })).status).toBe(200);
  });

  it('is authenticated before its body is judged', async () => {
    const answer = await call(server, '/api/v1/users', { method: 'POST', body: '{' });
    expect(answer.status).toBe(401);
  });

  it('says what is wrong with each field, by pointer', async () => {
    const answer = await api(server, '/api/v1/users', { name: 7, role: 'admin' });
    expect(answer.status).toBe(400);
    const errors = answer.json()['errors'] as { pointer: string }[];
    expect(errors.map((e) => e.pointer).sort()).toEqual(['/name', '/role']);
    expect(JSON.stringify(errors)).toContain('INVALID_ARGUMENT');
  });

  it('says the same of parameters in the path and in the query', async () => {
    const path = await api(server, '/api/v1/users/123456');
    expect(path.json()).toMatchObject({ errors: [{ pointer: '/path/userId' }] });
    const query = await api(server, '/api/v1/users?dry=1', { name: 'ada' });
    expect(query.json()).toMatchObject({ errors: [{ pointer: '/query/dry' }] });
    const none = await api(server, '/api/v1/users/1?dry=1');
    expect(none.status).toBe(400);
    expect(none.json()).toMatchObject({
      detail: 'The query parameter "dry" is not known here.',
      errors: [{ pointer: '/query/dry' }],
    });
  });

  it.each([
    ['no JSON', '{'],
    ['a value and more', '{"name":"a"} x'],
    ['not UTF-8', '\xff'],
    ['a key twice', '{"name":"a","name":"b"}'],
    ['a key twice, once in escapes', String.raw`{"name":"a","n\u0061me":"b"}`],
    ['a key twice, deep inside', '{"name":"a","more":[{"x":{"y":1,"y":2}}]}'],
    ['__proto__', '{"name":"a","more":{"__proto__":{"admin":true}}}'],
    ['__proto__ in escapes', String.raw`{"name":"a","more":{"\u005f_proto__":1}}`],
    ['33 levels', `{"name":"a","more":${'['.repeat(32)}${']'.repeat(32)}}`],
    ['a million levels', '['.repeat(90_000)],
    ['2^53', '{"name":"a","age":9007199254740992}'],
    ['a number beyond a double', '{"name":"a","more":1e999}'],
    ['NUL in a text', String.raw`{"name":"a\u0000b"}`],
    ['half of a surrogate pair', String.raw`{"name":"\ud800"}`],
    ['half of a surrogate pair in a key', String.raw`{"name":"a","more":{"\udc00":1}}`],
  ])('refuses a body with %s (covers: T70)', async (_what, text) => {
    const body = text === '\xff' ? Buffer.from([0x22, 0xff, 0x22]) : text;
    const headers = { authorization: TOKEN, 'content-type': 'application/json' };
    const answer = await call(server, '/api/v1/users', { method: 'POST', headers, body });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } });
  });

  it.each([
    ['32 levels', `{"name":"a","more":${'['.repeat(31)}${']'.repeat(31)}}`],
    ['brackets and quotes in strings', String.raw`{"name":"[[{\"name\":1, \\","more":"}]"}`],
    ['the same key in different objects', '{"name":"a","more":[{"x":1},{"x":2},{"x":{"x":1}}]}'],
    ['2^53 - 1, fractions and exponents', '{"name":"a","age":9007199254740991,"more":[0.1,1e300]}'],
    ['a whole surrogate pair', String.raw`{"name":"\ud83d\ude00"}`],
    ['a charset', '{"name":"ä"}'],
  ])('accepts a body with %s', async (_what, body) => {
    const headers = { authorization: TOKEN, 'content-type': 'application/json; charset=utf-8' };
    const answer = await call(server, '/api/v1/users', { method: 'POST', headers, body });
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { HttpServer } from '../src/http-server.ts';
import { raw, start, stopAll } from './test-server.ts';

let plain: HttpServer;

beforeAll(async () => {
  plain = await start({
    tls: undefined,
    timeouts: { header: 200, request: 400, idle: 2_000 },
  });
});

afterAll(stopAll);

const SHORT = '/acme/new-order';

describe('garbage', () => {
  it.each([
    [
      'two lengths',
      'POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
    ],
    [
      'CL.TE',
      `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /acme/directory HTTP/1.1\r\n\r\n`,
    ],
    [
      'TE.TE',
      `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n`,
    ],
    [
      'a bad chunk',
      `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n`,
    ],
    ['a length that is none', `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc`],
    ['a space before the colon', `GET ${SHORT} HTTP/1.1\r\nhost : x\r\n\r\n`],
    ['no host', 'GET /acme/directory HTTP/1.1\r\n\r\n'],
    ['two hosts', 'GET /acme/directory HTTP/1.1\r\nhost: x\r\nHost: x\r\n\r\n'],
    [
      'a coding that nobody knows, before one that is known',
      `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'a coding in HTTP/1.0',
      `POST ${SHORT} HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a method that nobody knows', 'FOO / HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['a tunnel', 'CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n'],
  ])('is refused and the connection closed: %s (covers: T68)', async (_name, text) => {
    const answer = await raw(plain, text);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  it.each([
    [400, 'There is no such HTTP method.', 'FOO / HTTP/1.1\r\nhost: x\r\n\r\n'],
    [400, 'The request names no host.', 'GET /acme/directory HTTP/1.1\r\n\r\n'],
    [
      400,
      'CONNECT asks a proxy, and this is none.',
      'CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n',
    ],
    [
      417,
      'The only expectation is 100-continue.',
      'GET /acme/directory HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\n\r\n',
    ],
  ])('hears in a problem document what is wrong with it: %i %s', async (status, detail, text) => {
    const [header = '', body = ''] = (await raw(plain, text)).split('\r\n\r\n');
    expect(header.toLowerCase()).toContain('content-type: application/problem+json');
    expect(header.toLowerCase()).toContain('connection: close');
    const error = { code: 'INVALID_ARGUMENT' };
    expect(JSON.parse(body)).toMatchObject({ status, detail, error });
  });

  it('is not what HTTP/1.0 asks without a host', async () => {
    expect(await raw(plain, 'GET /acme/directory HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('of 16 kB in a header is refused with 431', async () => {
    const answer = await raw(
      plain,
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('that never ends is cut off: a slow header, a slow body, silence (covers: T71)', async () => {
    const slow = ['GET / HTTP/1.1\r\nhost: x\r\n'];
    const body = [`POST ${SHORT} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n`, 'a'];
    const [header, late, nothing] = await Promise.all([
      raw(plain, ...slow),
      raw(plain, ...body),
      raw(plain),
    ]);
    expect(header).toMatch(/^HTTP\/1\.1 408 /);
    expect(late).toMatch(/^HTTP\/1\.1 408 /);
    expect(nothing).not.toContain(' 200 ');
  });
});

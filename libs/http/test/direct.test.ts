import { request } from 'node:http';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NO_DOOR } from '../src/admit.ts';
import { type HttpServer, startHttpServer } from '../src/http-server.ts';
import type { HttpRequest, ProtocolRoute } from '../src/route.ts';

let server: HttpServer;
let metrics: Metrics;
const seen: HttpRequest[] = [];

const route = (method: 'GET' | 'POST', path: string): ProtocolRoute => ({
  kind: 'protocol',
  listener: 'status',
  method,
  path,
  bodyLimit: 100,
  direct: true,
  errorReply: (error) => ({
    status: asGigvaultError(error).row.http,
    body: `reply of its own: ${(error as Error).message}`,
  }),
  async handle(asked) {
    seen.push(asked);
    const what = asked.params['*'] ?? '';
    if (what === 'fails') throw new Error('broken');
    if (what === 'unwritable') return { status: 200, headers: { etag: 'a\nb' } };
    if (what === 'same') return { status: 304, headers: { etag: '"1"' } };
    return { status: 200, headers: { etag: '"1"' }, body: Buffer.from(`${what}${asked.body}`) };
  },
});

beforeAll(async () => {
  metrics = createMetrics();
  server = await startHttpServer({
    listeners: ['status'],
    host: '127.0.0.1',
    port: 0,
    baseUrl: 'http://127.0.0.1',
    behindProxy: false,
    routes: [route('POST', '/ocsp'), route('GET', '/ocsp/*')].map((one) => ({
      service: 'ocsp',
      route: one,
      door: NO_DOOR,
    })),
    log: silentLog,
    metrics,
  });
});
afterAll(() => server.stop());

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function ask(method: string, path: string, headers = {}, body: string[] = []): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ port: server.port, host: '127.0.0.1', method, path, headers });
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, text }),
      );
    });
    for (const part of body) call.write(part);
    call.end();
  });
}

/** Only the framework answers with a request id. */
const isDirect = ({ headers }: Answer) => headers['x-request-id'] === undefined;

describe('a direct route', () => {
  it('answers plain requests without the framework, with the same path and body', async () => {
    const get = await ask('GET', '/ocsp/a%2Fb');
    expect([get.status, get.text, isDirect(get)]).toEqual([200, 'a/b', true]);
    expect(get.headers).toMatchObject({
      etag: '"1"',
      'content-length': '3',
      'x-content-type-options': 'nosniff',
    });
    const post = await ask('POST', '/ocsp', { 'content-length': 6 }, ['abc', 'def']);
    expect([post.status, post.text, isDirect(post)]).toEqual([200, 'abcdef', true]);
    const asked = seen.at(-1)!;
    expect([asked.clientIp, asked.url, asked.method]).toEqual([
      '127.0.0.1',
      'http://127.0.0.1/ocsp',
      'POST',
    ]);
    const unchanged = await ask('GET', '/ocsp/same');
    expect([unchanged.status, unchanged.text, isDirect(unchanged)]).toEqual([304, '', true]);
  });

  it.each([
    ['GET', '/ocsp/a?b=c', {}, [], 200],
    ['GET', '/ocsp/a', { traceparent: 'x' }, [], 200],
    ['GET', '/ocsp/a', { 'x-request-id': 'mine' }, [], 200],
    ['HEAD', '/ocsp/a', {}, [], 200],
    ['DELETE', '/ocsp/a', {}, [], 405],
    ['POST', '/ocsp', { 'transfer-encoding': 'chunked' }, ['a'], 200],
    ['POST', '/ocsp', { 'content-length': 101 }, ['a'.repeat(101)], 413],
    ['POST', '/ocsp', { 'content-length': 1, 'content-encoding': 'gzip' }, ['a'], 415],
  ] as const)('leaves %s %s %j to the framework', async (method, path, headers, body, status) => {
    const answer = await ask(method, path, headers, [...body]);
    expect([isDirect(answer), answer.status]).toEqual([false, status]);
  });

  it('hands over nothing of a path that cannot be decoded', async () => {
    const before = seen.length;
    expect((await ask('GET', '/ocsp/%zz')).status).toBe(400);
    expect(seen).toHaveLength(before);
  });

  it('hangs up when its answer cannot be written, and serves on', async () => {
    await expect(ask('GET', '/ocsp/unwritable')).rejects.toThrow('socket hang up');
    expect((await ask('GET', '/ocsp/a')).status).toBe(200);
  });

  it('turns what its handler throws into the protocol’s own form, and counts as every other', async () => {
    const answer = await ask('GET', '/ocsp/fails');
    expect([answer.status, answer.text]).toEqual([500, 'reply of its own: broken']);
    const text = await metrics.exposition();
    expect(text).toMatch(
      /gigvault_http_requests_total\{method="GET",route="\/ocsp\/\*",status="500"\} 1/,
    );
  });
});

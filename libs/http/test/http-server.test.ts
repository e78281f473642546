import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, type SecureVersion } from 'node:tls';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { openRaw } from '@gigvault/testkit/raw-connection';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAdmission } from '../src/admission.ts';
import type { HttpServer } from '../src/http-server.ts';
import type { HttpRequest } from '../src/route.ts';
import {
  api,
  call,
  gate,
  identities,
  ROUTES,
  raw,
  start,
  stopAll,
  TLS,
  TOKEN,
} from './test-server.ts';

let server: Awaited<ReturnType<typeof start>>;

beforeAll(async () => {
  server = await start();
});

afterAll(stopAll);

const SHORT = '/acme/new-order';
const acmeType = (problem: string) => `urn:ietf:params:acme:error:${problem}`;

describe('TLS', () => {
  const protocolWith = (port: number, maxVersion: SecureVersion, ciphers?: string) =>
    new Promise<string>((resolve) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        maxVersion,
        ciphers,
        rejectUnauthorized: false,
      });
      socket.once('error', () => resolve('refused'));
      socket.once('secureConnect', () => {
        resolve(socket.getProtocol() ?? '');
        socket.destroy();
      });
    });

  it('is 1.3 by default (covers: X1, C40)', async () => {
    expect(await protocolWith(server.port, 'TLSv1.3')).toBe('TLSv1.3');
    expect(await protocolWith(server.port, 'TLSv1.2')).toBe('refused');
  });

  it('is 1.2 only when told, and then with forward secrecy and AEAD only (covers: X1)', async () => {
    const older = await start({ tls: { ...TLS, minVersion: 'TLSv1.2' } });
    expect(await protocolWith(older.port, 'TLSv1.2')).toBe('TLSv1.2');
    expect(await protocolWith(older.port, 'TLSv1.2', 'ECDHE-ECDSA-AES128-SHA')).toBe('refused');
    expect(await protocolWith(older.port, 'TLSv1.1')).toBe('refused');
  });

  it('is the only thing that an HTTPS listener speaks (covers: C40)', async () => {
    expect(await raw(server, 'GET /acme/directory HTTP/1.1\r\nhost: x\r\n\r\n')).toBe('');
  });

  it('uses a new certificate for new connections, on every address of localhost', async () => {
    const both = await start({ host: 'localhost' });
    const next = identities.identity('edge').current();
    both.replaceTls({ cert: next.certificate, key: next.privateKey });
    for (const host of ['127.0.0.1', '::1']) {
      const name = await new Promise((resolve, reject) => {
        const socket = connect({ port: both.port, host, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().subjectaltname);
          socket.destroy();
        });
        socket.once('error', reject);
      });
      expect(name).toBe('URI:spiffe://gigvault.test/service/edge');
    }
    expect(await protocolWith(both.port, 'TLSv1.2')).toBe('refused');
  });
});

describe('a body', () => {
  it('above the route’s limit is refused in the protocol’s words', async () => {
    const answer = await call(server, SHORT, { method: 'POST', body: Buffer.alloc(1_001) });
    expect(answer.status).toBe(413);
    expect(answer.json()['type']).toBe(acmeType('malformed'));
    expect(answer.headers['replay-nonce']).toBe('n');
  });

  it('above the limit is refused also when it comes in chunks of unsaid length', async () => {
    const answer = await call(server, SHORT, {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(5_000),
    });
    expect(answer.status).toBe(413);
  });

  it('of an operation may have 100,000 octets and no more', async () => {
    const name = 'x'.repeat(100_000);
    const answer = await api(server, '/api/v1/users', { name });
    expect(answer.status).toBe(413);
    expect(answer.json()).toMatchObject({ error: { code: 'PAYLOAD_TOO_LARGE' } });
    expect((await api(server, '/api/v1/users', { name: name.slice(100) })).status).toBe(201);
  });

  it('reaches a protocol as it was sent, whatever its type', async () => {
    for (const type of ['application/jose+json', 'text/html', '']) {
      const headers = type === '' ? {} : { 'content-type': type };
      const answer = await call(server, SHORT, { method: 'POST', headers, body: 'abc' });
      expect(answer.json()).toMatchObject({ length: 3 });
    }
  });

  it('with a media type that is none, or with a content coding, is refused with 415 (covers: T71)', async () => {
    for (const headers of [{ 'content-type': 'nothing;;;' }, { 'content-encoding': 'gzip' }]) {
      const answer = await call(server, SHORT, { method: 'POST', headers, body: 'abc' });
      expect([answer.status, answer.json()['type']]).toEqual([415, acmeType('malformed')]);
    }
  });

  it('of an operation must be JSON', async () => {
    const answer = await call(server, '/api/v1/users', {
      method: 'POST',
      headers: { authorization: TOKEN, 'content-type': 'text/xml' },
      body: '<a/>',
    });
    expect([answer.status, answer.headers['content-type']]).toEqual([
      415,
      'application/problem+json',
    ]);
  });
});

describe('a path', () => {
  it('that exists answers another method with 405 and Allow, in the words of whoever owns it', async () => {
    const protocol = await call(server, SHORT, { method: 'GET' });
    expect([protocol.status, protocol.headers.allow]).toEqual([405, 'POST']);
    expect(protocol.json()['type']).toBe(acmeType('malformed'));
    for (const method of ['DELETE', 'PUT', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
      const answer = await call(server, '/api/v1/users/1', { method });
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
      expect(answer.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } });
    }
  });

  it('is what was sent: nothing leads from one to another', async () => {
    for (const path of [
      '/acme/../api/v1/users/1',
      '/api/v1/x/%2e%2e/users/1',
      '/api/v1//users/1',
    ]) {
      const answer = await call(server, path, { headers: { authorization: TOKEN } });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });

  it('with a part that is too long, or with a NUL, is refused in plain words', async () => {
    const headers = { authorization: TOKEN };
    const long = await call(server, `/api/v1/users/${'x'.repeat(5_000)}`, { headers });
    expect([long.status, long.json()['detail']]).toEqual([400, 'The path is too long.']);
    const nul = await call(server, '/api/v1/users/%00', { headers });
    expect([nul.status, nul.json()['detail']]).toEqual([
      400,
      '"userId" in the path must not have control characters.',
    ]);
  });

  it('that can be read answers HEAD with the header alone', async () => {
    const answer = await call(server, '/acme/directory', { method: 'HEAD' });
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(answer.headers['content-length']).toBe('16');
  });

  it('that nothing serves is 404: ACME’s below /acme, ours elsewhere', async () => {
    const protocol = await call(server, '/acme/no-such-thing');
    expect([protocol.status, protocol.json()['type']]).toEqual([404, acmeType('malformed')]);
    const other = await call(server, '/no-such-thing');
    expect(other.status).toBe(404);
    expect(other.json()).toMatchObject({
      type: 'https://docs.gigvault.dev/errors/GV-NOT-FOUND',
      instance: '/no-such-thing',
      error: { code: 'NOT_FOUND' },
    });
  });

  it('that cannot be decoded is refused', async () => {
    const answer = await call(server, '/acme/order/%zz');
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('FST_');
  });

  it('in absolute form is the path in it (RFC 9112 §3.2.2)', async () => {
    const answer = await call(server, `https://evil.example${SHORT}`, { method: 'POST' });
    expect(answer.json()).toEqual({ length: 0, url: `https://localhost:8443${SHORT}` });
  });

  it('outside the route table stops the start, and so does another service’s', async () => {
    const [route] = ROUTES;
    if (route?.route.kind !== 'protocol') throw new Error('the first route is a protocol’s');
    const at = (path: string) => [{ ...route, route: { ...route.route, path } } as typeof route];
    await expect(start({ routes: at('/elsewhere') })).rejects.toThrow(
      'gives POST /elsewhere to nobody, not to enroll',
    );
    await expect(start({ routes: at('/api/v1/keys/x') })).rejects.toThrow(
      'to keymgr, not to enroll',
    );
    await expect(start({ routes: [{ ...route, service: 'host' }] })).rejects.toThrow(
      'to enroll, not to host',
    );
  });
});

describe('an error', () => {
  it('that is not ours leaves without its text', async () => {
    const answer = await call(server, '/acme/broken');
    expect([answer.status, answer.json()['type']]).toEqual([500, acmeType('serverInternal')]);
    expect(answer.text).not.toContain('hunter2');
  });

  it('of the error reply itself is answered all the same', async () => {
    const answer = await call(server, '/acme/broken-twice');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('hunter2');
    expect(answer.json()).toMatchObject({ error: { code: 'INTERNAL' } });
  });

  it('names the request and its trace', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const answer = await call(server, '/api/v1/users/1', {
      headers: { 'x-request-id': 'mine-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    });
    expect(answer.status).toBe(401);
    expect(answer.headers).toMatchObject({
      'x-request-id': 'mine-1',
      'www-authenticate': 'Bearer realm="gigvault"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(answer.json()['traceId']).toBe(traceId);
  });

  it.each([
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'rubbish',
  ])('has a trace id of ours when the client’s is none: %s', async (traceparent) => {
    const headers = { traceparent, 'x-request-id': 'a b\u00e4' };
    const answer = await call(server, '/nothing', { headers });
    expect(answer.json()['traceId']).toMatch(/^(?!4bf9|0{32})[0-9a-f]{32}$/);
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('behind the edge', () => {
  const edge = () => {
    const { certificate, privateKey } = identities.identity('edge').current();
    return { cert: certificate, key: privateKey };
  };
  const behind = async () => {
    const ca = identities.identity('ca').current();
    return start({
      behindProxy: true,
      onlyPeer: 'URI:spiffe://gigvault.test/service/edge',
      tls: {
        cert: ca.certificate,
        key: ca.privateKey,
        ca: ca.servicesCa,
        requestCert: true,
        rejectUnauthorized: false,
      },
    });
  };
  const forwarded = { 'x-forwarded-for': '6.6.6.6, 192.0.2.7', 'x-gigvault-listener': 'public' };

  it('the client’s address is what the edge says, and nothing before it', async () => {
    const answer = await call(await behind(), '/acme/order/1', {
      headers: forwarded,
      client: edge(),
    });
    expect(answer.json()).toMatchObject({ clientIp: '192.0.2.7' });
  });

  it('a route is found only on the listener that it belongs to', async () => {
    for (const listener of ['status', undefined]) {
      const { status } = await call(await behind(), '/acme/order/1', {
        headers: listener === undefined ? {} : { 'x-gigvault-listener': listener },
        client: edge(),
      });
      expect(status).toBe(404);
    }
  });

  it('nobody else may connect', async () => {
    const closed = await behind();
    const { certificate, privateKey } = identities.identity('ra').current();
    const other = { cert: certificate, key: privateKey };
    await expect(call(closed, '/acme/directory', { client: other })).rejects.toThrow();
    await expect(call(closed, '/acme/directory')).rejects.toThrow();
  });

  it('an address in a header is not believed without an edge', async () => {
    const answer = await call(server, '/acme/order/1', { headers: forwarded });
    expect(answer.json()).toMatchObject({ clientIp: '127.0.0.1' });
    await expect(start({ behindProxy: true })).rejects.toThrow('onlyPeer');
  });
});

describe('the start', () => {
  it('names a port in use', async () => {
    await expect(start({ port: server.port })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: `Port ${server.port} (public listener) is in use by another program.`,
      details: { port: server.port },
    });
  });

  it('names an address that the machine has not', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a stop', () => {
  const startPlain = () =>
    start({ tls: undefined, admission: createAdmission({ metrics: createMetrics() }) });

  async function kept(server: HttpServer): Promise<Socket> {
    const socket = openRaw({ port: server.port, tls: false });
    socket.write('GET /acme/directory HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
    return socket;
  }

  async function allOf(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (part: Buffer) => {
      text += part.toString();
    });
    await once(socket, 'close');
    return text;
  }

  it('lets a request in flight end, takes no new one, and is over then', async () => {
    const stopping = await start();
    let open: () => void = () => undefined;
    gate.opened = new Promise((resolve) => {
      open = resolve;
    });
    gate.seen.length = 0;
    const inFlight = call(stopping, '/acme/order/7', { headers: { connection: 'keep-alive' } });
    while (gate.seen.length === 0) await new Promise(setImmediate);
    const stopped = stopping.stop();
    await expect(call(stopping, '/acme/directory')).rejects.toThrow('ECONNREFUSED');
    open();
    const answer = await inFlight;
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
    await stopped;
  });

  it.each([
    ['a next step is taken', 'GET /acme/order/7', /^HTTP\/1\.1 200 /],
    ['so is one without the framework', 'GET /acme/direct/7', /^HTTP\/1\.1 200 /],
    ['nothing is begun', 'POST /acme/new-order', /^HTTP\/1\.1 503 [\s\S]*"urn:ietf:/],
    ['not over REST either', 'POST /api/v1/csrs', /^HTTP\/1\.1 503 [\s\S]*retry-after: 4\r\n/i],
  ])('on a kept connection has one more answer: %s — covers: T19', async (_what, start, answer) => {
    gate.opened = Promise.resolve();
    const stopping = await startPlain();
    const socket = await kept(stopping);
    const stopped = stopping.stop();
    const text = allOf(socket);
    socket.write(`${start} HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(await text).toMatch(answer);
    expect(await text).toMatch(/\r\nconnection: close\r\n/i);
    await stopped;
  });

  it('closes a kept connection that asks for nothing, and waits no longer — covers: T19', async () => {
    const stopping = await startPlain();
    const socket = await kept(stopping);
    const since = performance.now();
    const [text] = await Promise.all([allOf(socket), stopping.stop()]);
    expect(text).toBe('');
    expect(performance.now() - since).toBeLessThan(2_000);
  });

  it('makes an answer without the framework the last one — covers: T19', async () => {
    const opened = Promise.withResolvers<void>();
    gate.opened = opened.promise;
    gate.seen.length = 0;
    const stopping = await startPlain();
    const socket = await kept(stopping);
    socket.write('GET /acme/direct/7 HTTP/1.1\r\nhost: x\r\n\r\n');
    while (gate.seen.length === 0) await new Promise(setImmediate);
    const text = allOf(socket);
    const stopped = stopping.stop();
    opened.resolve();
    expect(await text).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i);
    await stopped;
  });

  it('does not wait longer than it is told, and the handler learns that its client is gone', async () => {
    const stopping = await start();
    gate.opened = new Promise(() => undefined);
    gate.seen.length = 0;
    const inFlight = call(stopping, '/acme/order/8');
    while (gate.seen.length === 0) await new Promise(setImmediate);
    const { signal } = gate.seen[0] as HttpRequest;
    const gone = new Promise((resolve) => signal.addEventListener('abort', resolve));
    const [outcome] = await Promise.allSettled([inFlight, stopping.stop(50)]);
    expect(outcome.status).toBe('rejected');
    await gone;
    gate.opened = Promise.resolve();
  });
});

it('a handler learns that its client went away', async () => {
  const abandoned = await start();
  gate.opened = new Promise(() => undefined);
  gate.seen.length = 0;
  const leaving = new AbortController();
  const request = call(abandoned, '/acme/order/9', { signal: leaving.signal });
  while (gate.seen.length === 0) await new Promise(setImmediate);
  const { signal } = gate.seen[0] as HttpRequest;
  const gone = new Promise((resolve) => signal.addEventListener('abort', resolve));
  leaving.abort();
  await expect(request).rejects.toThrow('abort');
  await gone;
  gate.opened = Promise.resolve();
});

it('every request is counted under its route’s template, never under its path', async () => {
  const counted = await start();
  await call(counted, '/acme/order/secret-1');
  await call(counted, '/nothing/here');
  const text = await counted.metrics.exposition();
  expect(text).toContain(
    'gigvault_http_requests_total{method="GET",route="/acme/order/:id",status="200"} 1',
  );
  expect(text).toContain('gigvault_http_requests_total{method="GET",route="none",status="404"} 1');
  expect(text).not.toContain('secret-1');
});

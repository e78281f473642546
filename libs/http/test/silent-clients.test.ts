import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { HttpServer } from '../src/http-server.ts';
import { gate, start, stopAll } from './test-server.ts';

afterAll(stopAll);

const PATIENT = { header: 60_000, request: 60_000, idle: 60_000 };
const HEADER = 'GET /acme/directory HTTP/1.1\r\nhost: x\r\n';
const BODY = 'POST /acme/new-order HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{';

/** A client that sends this and then nothing, once the server has taken its connection. */
async function silent(server: HttpServer, text: string): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined).resume();
  await new Promise((sent) => socket.write(text, sent));
  return socket;
}

/** Also of a connection that is reset. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Milliseconds. */
async function stopTime(server: HttpServer): Promise<number> {
  const start = performance.now();
  await server.stop(30_000);
  return performance.now() - start;
}

describe('who says nothing', () => {
  it('instead of a handshake is not waited for longer than for a header (covers: T71)', async () => {
    const server = await start({ timeouts: { ...PATIENT, header: 100 } });
    const client = await silent(server, '');
    const began = performance.now();
    await closing(client);
    expect(performance.now() - began).toBeLessThan(5_000);
    await server.stop(30_000);
  });

  it.each([
    ['instead of a handshake', {}, ''],
    ['after a part of a handshake', {}, '\x16\x03\x01'],
    ['after a connection', { tls: undefined }, ''],
    ['after a part of a header', { tls: undefined }, HEADER],
    ['after a part of a body', { tls: undefined }, BODY],
  ])('%s holds up no stop (covers: T19, T71)', async (_what, options, text) => {
    const server = await start({ ...options, timeouts: PATIENT });
    const client = await silent(server, text);
    const closed = closing(client);
    expect(await stopTime(server)).toBeLessThan(10_000);
    await closed;
  });

  it('while a request of another is worked on costs that one nothing (covers: T19)', async () => {
    const server = await start({ tls: undefined, timeouts: PATIENT });
    await silent(server, HEADER);
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.opened = promise;
    gate.seen.length = 0;
    const client = connect(server.port, '127.0.0.1');
    let answer = '';
    client.on('data', (data) => {
      answer += data;
    });
    client.write('GET /acme/order/1 HTTP/1.1\r\nhost: x\r\n\r\n');
    while (gate.seen.length === 0) await new Promise((turn) => setImmediate(turn));
    const stopped = server.stop(30_000);
    resolve();
    await closing(client);
    await stopped;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { openRaw } from '@gigvault/testkit/raw-connection';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { MountedRoute } from '../src/mounting.ts';
import { call, ROUTES, start, stopAll } from './test-server.ts';

afterAll(stopAll);

const LARGE = Buffer.alloc(10_000_000, '0123456789');
const [model] = ROUTES as readonly [MountedRoute];
const routes: readonly MountedRoute[] = [
  {
    ...model,
    route: {
      ...model.route,
      method: 'GET',
      path: '/acme/large',
      handle: async () => ({ status: 200, headers: { etag: '"1"' }, body: LARGE }),
    } as MountedRoute['route'],
  },
];

describe('a large body', () => {
  it.each([true, false])('is whole, and its length is known; encrypted: %s', async (encrypted) => {
    const server = await start(encrypted ? { routes } : { routes, tls: undefined });
    const plain = !encrypted;
    const length = String(LARGE.length);
    const answer = await call(server, '/acme/large', { plain });
    expect(answer.text === LARGE.toString()).toBe(true);
    expect(answer.headers).toMatchObject({ 'content-length': length, etag: '"1"' });
    const head = await call(server, '/acme/large', { method: 'HEAD', plain });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, length, '']);
  });

  it('is not held for each of those who do not read it (covers: T71)', async () => {
    const server = await start({ routes });
    const slow: Socket[] = [];
    const before = process.memoryUsage.rss();
    try {
      while (slow.length < 40) {
        const socket = openRaw({ port: server.port, tls: true });
        slow.push(socket);
        await once(socket, 'secureConnect');
        socket.write('GET /acme/large HTTP/1.1\r\nhost: x\r\n\r\n');
        // It has come to the beginning, and no further.
        await once(socket, 'readable');
      }
      expect((await call(server, '/acme/large')).text).toHaveLength(LARGE.length);
      expect(process.memoryUsage.rss() - before).toBeLessThan(200_000_000);
    } finally {
      for (const socket of slow) socket.destroy();
    }
  });
});

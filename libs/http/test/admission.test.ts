import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { openRaw } from '@gigvault/testkit/raw-connection';
import { afterAll, describe, expect, it } from '@jest/globals';
import { createAdmission } from '../src/admission.ts';
import { api, call, gate, start, stopAll } from './test-server.ts';

afterAll(stopAll);

const SHORT = '/acme/new-order';

describe('an admission (covers: T20)', () => {
  const admission = { enter: () => ({ admitted: false, retryAfter: 3 }) as const };

  it('turns away in the words of the protocol', async () => {
    const full = await start({ admission });
    const acme = await call(full, '/acme/new-order', { method: 'POST', body: 'x'.repeat(500) });
    expect(acme.status).toBe(503);
    expect(acme.headers['replay-nonce']).toBe('n');
    expect(acme.headers['content-type']).toBe('application/problem+json');
    const rest = await api(full, '/api/v1/certificates', {});
    expect(rest.status).toBe(503);
    expect(rest.headers['retry-after']).toBe('3');
    expect(rest.json()).toMatchObject({ status: 503, error: { code: 'OVERLOADED' } });
  });

  it('is told when an answer is out, and with which status', async () => {
    const left: unknown[] = [];
    const full = await start({
      admission: { enter: () => ({ admitted: true, leave: (status) => void left.push(status) }) },
    });
    await call(full, '/acme/nothing');
    await eventually(() => expect(left).toEqual([404]));
  });

  it.each(['/acme/order/1', '/acme/direct/1'])(
    'is told of a client that did not wait for its answer when the work for it ends: %s',
    async (path) => {
      const left: unknown[] = [];
      const open = await start({
        admission: { enter: () => ({ admitted: true, leave: (status) => void left.push(status) }) },
      });
      const working = Promise.withResolvers<void>();
      gate.opened = working.promise;
      const asked = gate.seen.length;
      const leaving = new AbortController();
      const gone = call(open, path, { signal: leaving.signal });
      await eventually(() => expect(gate.seen).toHaveLength(asked + 1));
      leaving.abort();
      await expect(gone).rejects.toThrow('abort');
      await eventually(() => expect(gate.seen.at(-1)?.signal.aborted).toBe(true));
      // Another one has come and gone meanwhile.
      expect((await call(open, '/acme/directory')).status).toBe(200);
      await eventually(() => expect(left).toEqual([200]));
      working.resolve();
      await eventually(() => expect(left).toEqual([200, undefined]));
    },
  );

  it.each(['/acme/new%2Dorder', `https://host${SHORT}`, `${SHORT}?x`])(
    'judges a beginning by the path that is found: %s',
    async (path) => {
      const judged: string[] = [];
      const full = await start({
        admission: {
          enter(method, found) {
            judged.push(`${method} ${found}`);
            return { admitted: false, retryAfter: 1 };
          },
        },
      });
      const answer = await call(full, path, { method: 'POST', body: 'x' });
      expect([answer.status, answer.headers['replay-nonce']]).toEqual([503, 'n']);
      expect(judged).toEqual([`POST ${SHORT}`]);
    },
  );

  it('takes in any body, and leaves it as it was sent', async () => {
    const open = await start({ admission: createAdmission({ metrics: createMetrics() }) });
    const chunked = { 'transfer-encoding': 'chunked' };
    for (const [length, headers] of [
      [0, {}],
      [0, chunked],
      [3, {}],
      [3, chunked],
      [1_000, chunked],
    ] as const) {
      const answer = await call(open, SHORT, {
        method: 'POST',
        headers,
        body: Buffer.alloc(length),
      });
      expect([length, answer.status, answer.json()['length']]).toEqual([length, 200, length]);
    }
    for (const headers of [{}, chunked])
      for (const length of [1_001, 99_999, 100_001, 500_000]) {
        const body = Buffer.alloc(length);
        expect((await call(open, SHORT, { method: 'POST', headers, body })).status).toBe(413);
      }
    const name = 'x'.repeat(90_000);
    expect((await api(open, '/api/v1/users', { name })).status).toBe(201);
  });

  it('of bodies that are withheld counts none, and the oldest of too many give way (covers: T71)', async () => {
    const metrics = createMetrics();
    const open = await start({ tls: undefined, admission: createAdmission({ metrics }) });
    const begun = `POST ${SHORT} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc`;
    const slow: Socket[] = [];
    try {
      while (slow.length < 2_000) {
        const some = Array.from({ length: 200 }, () => openRaw({ port: open.port, tls: false }));
        slow.push(...some);
        await Promise.all(some.map((socket) => once(socket, 'connect')));
        for (const socket of some) socket.write(begun);
      }
      const oldest = once(slow[0]!, 'data');
      // Longer than an answer may take, and than it takes to look.
      for (const since = performance.now(); performance.now() - since < 1_000; )
        expect((await call(open, '/acme/directory', { plain: true })).status).toBe(200);
      const order = await call(open, SHORT, { method: 'POST', body: 'x', plain: true });
      expect(order.status).toBe(200);
      const figures = await metrics.exposition();
      expect(figures).toMatch(/^gigvault_admission_turned_away_total 0$/m);
      expect(Number(/^gigvault_admission_limit (\S+)$/m.exec(figures)?.[1])).toBeGreaterThan(120);
      const answer = String(await oldest);
      expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*connection: close/i);
      await eventually(() => expect(slow[0]?.closed).toBe(true));
    } finally {
      for (const socket of slow) socket.destroy();
    }
  });
});

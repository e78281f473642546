import { once } from 'node:events';
import type { Socket } from 'node:net';
import { openRaw, type RawTarget } from '@gigvault/testkit/raw-connection';
import { systemClock } from '@gigvault/time/clock';

/** Connections that have begun a request and never end it. */
export interface SlowClients {
  /** How many the server has ended so far. */
  ended(): number;
  /** Sends one more octet on the next `count` of them. */
  drip(count: number): void;
  /** Milliseconds from the first connection to the end of the last one; NaN while there are some. */
  lasted(): number;
  close(): void;
}

/** Connections made at one time; more would overflow the listener's queue, and wait for its retries. */
const AT_ONCE = 200;

/** Opens `count` connections and begins a request on each: `start`, to which octets are added by `drip`. Resolves once all are open. */
export async function openSlowClients(
  target: RawTarget,
  count: number,
  start: string,
): Promise<SlowClients> {
  const sockets: Socket[] = [];
  const begin = systemClock.now();
  let ended = 0;
  let last = Number.NaN;
  let dripped = 0;
  const one = async () => {
    const socket = openRaw(target);
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (++ended === count) last = systemClock.now() - begin;
    });
    socket.resume();
    await once(socket, target.tls ? 'secureConnect' : 'connect');
    socket.write(start);
  };
  while (sockets.length < count)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, one));
  return {
    ended: () => ended,
    drip(some) {
      for (let i = 0; i < some; i++) {
        const socket = sockets[dripped++ % count]!;
        if (socket.writable) socket.write('x');
      }
    },
    lasted: () => last,
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

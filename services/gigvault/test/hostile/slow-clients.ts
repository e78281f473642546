import { once } from 'node:events';
import type { Socket } from 'node:net';
import { openRaw, type RawTarget } from '@gigvault/testkit/raw-connection';
import { systemClock } from '@gigvault/time/clock';

/** Connections that have begun a request and never end it. */
export interface SlowClients {
  /** How many there are. */
  readonly opened: number;
  /** How many the server has ended so far. */
  ended(): number;
  /** Sends one more octet on the next `count` of them. */
  drip(count: number): void;
  /** Milliseconds from a connection's beginning to its end, of the one that took longest. */
  longest(): number;
  close(): void;
}

/** Connections made at one time; more would overflow the listener's queue, and wait for its retries. */
const AT_ONCE = 200;

/**
 * Opens `most` connections, or as many as can be opened in `limit` milliseconds: where more takes longer, the first are ended before the last
 * are there. Begins a request on each: `start`, to which octets are added by `drip`. Resolves once all are open.
 */
export async function openSlowClients(
  target: RawTarget,
  most: number,
  start: string,
  limit: number,
): Promise<SlowClients> {
  const sockets: Socket[] = [];
  const end = systemClock.now() + limit;
  let ended = 0;
  let longest = 0;
  let dripped = 0;
  const one = async () => {
    const socket = openRaw(target);
    let begin = systemClock.now();
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      ended++;
      longest = Math.max(longest, systemClock.now() - begin);
    });
    socket.resume();
    await once(socket, target.tls ? 'secureConnect' : 'connect');
    begin = systemClock.now();
    socket.write(start);
  };
  while (sockets.length < most && (sockets.length === 0 || systemClock.now() < end))
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, most - sockets.length) }, one));
  return {
    opened: sockets.length,
    ended: () => ended,
    drip(some) {
      for (let i = 0; i < some; i++) {
        const socket = sockets[dripped++ % sockets.length]!;
        if (socket.writable) socket.write('x');
      }
    },
    longest: () => longest,
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

import { Socket } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { ClientBase, Pool, PoolConfig } from 'pg';
import { findWritableServer, type ServerAddress } from './writable-server.ts';

/** The parts of a pool's configuration that keep its connections on the server that takes writes. */
export interface PrimaryFollower {
  readonly config: Pick<PoolConfig, 'host' | 'port' | 'stream' | 'onConnect'>;
  /** Must be called with the pool that was made with it. */
  attach(pool: Pool): void;
}

/** Milliseconds for a server to say whether it takes writes. */
const PATIENCE = 2_000;
/** The least between two looks at the servers, milliseconds. */
const PAUSE = 200;
/** The most between two looks, milliseconds. A look is a login at each server. */
const LOOK_EVERY = 5_000;
const LOOKING = { name: 'database.primary', clock: systemClock, interval: LOOK_EVERY };

/**
 * Follows the primary among several servers: of those it is told of, connections lead to the one that takes writes. A connection that
 * breaks makes it look again, and one to a server that is read-only is dropped; it looks every few seconds as well, since a primary that was
 * replaced may come back, and keep connections that do not break. Once another was found, the connections to the
 * one before are cut, whatever they wait for: it may be alive and not know that it was replaced.
 *
 * @param login user, password, database, `ssl`, and where it leads until it is known better
 */
export function followPrimary(
  servers: readonly ServerAddress[],
  login: PoolConfig,
  log: Log,
): PrimaryFollower {
  let current = { host: login.host as string, port: login.port as number, timeline: 0 };
  let pool: Pool | undefined;
  const open = new Map<Socket, ServerAddress>();
  const failures = failureLog(
    log,
    'no database server takes writes',
    'a database server takes writes again',
  );

  const look = oneAfterAnother(async () => {
    if (pool === undefined || pool.ending) return;
    try {
      const found = await findWritableServer(startingWith(current, servers), login, {
        atLeast: current.timeline,
        patience: PATIENCE,
      });
      failures.worked();
      if (!isSame(found, current)) moveTo(found);
      current = found;
    } catch (error) {
      failures.failed('warn', error);
    }
    await systemClock.sleep(PAUSE);
  });

  function moveTo(server: ServerAddress): void {
    log.warn({ host: server.host, port: server.port }, 'another database server takes writes now');
    Object.assign(pool!.options, { host: server.host, port: server.port });
    for (const [socket, to] of open) if (!isSame(to, server)) socket.destroy();
  }

  function newSocket(): Socket {
    const socket = new Socket();
    const to =
      pool === undefined ? current : { host: pool.options.host!, port: pool.options.port! };
    open.set(socket, to);
    socket.once('close', () => {
      open.delete(socket);
      void look();
    });
    return socket;
  }

  async function refuseReadOnly(client: ClientBase): Promise<void> {
    if (await takesWrites(client)) return;
    void look();
    throw new GigvaultError('UNAVAILABLE', 'The database takes no writes now.');
  }

  return {
    config: {
      host: current.host,
      port: current.port,
      stream: newSocket as never,
      onConnect: refuseReadOnly as never,
    },
    attach(made) {
      pool = made;
      untilItsEnd(
        made,
        periodic({ ...LOOKING, round: look, onError: failures.failed.bind(undefined, 'warn') }),
      );
    },
  };
}

/** Runs never overlap: one that is asked for during another follows it. */
function oneAfterAnother(run: () => Promise<void>): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await run();
    }
    running = false;
  };
}

/** Of two servers with the same timeline the first is taken: so it stays where it is. */
function startingWith(
  current: ServerAddress,
  servers: readonly ServerAddress[],
): readonly ServerAddress[] {
  return servers.toSorted((a, b) => Number(isSame(b, current)) - Number(isSame(a, current)));
}

/** Runs the worker from now on, and stops it first when the pool is ended. */
function untilItsEnd(pool: Pool, worker: Worker): void {
  const end: () => Promise<void> = pool.end.bind(pool);
  pool.end = async () => {
    await worker.stop();
    await end();
  };
  void worker.start();
}

async function takesWrites(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ transaction_read_only: string }>(
    'SHOW transaction_read_only',
  );
  return rows[0]?.transaction_read_only === 'off';
}

function isSame(one: ServerAddress, other: ServerAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

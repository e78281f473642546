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
 * one before are cut, whatever they wait for: it may be alive and not know that it was replaced. The pools of a process look together.
 *
 * @param login user, password, database, `ssl`, and where it leads until it is known better
 */
export function followPrimary(
  servers: readonly ServerAddress[],
  login: PoolConfig,
  log: Log,
): PrimaryFollower {
  const first: ServerAddress = { host: login.host as string, port: login.port as number };
  const watch = watchOf(servers, login, log);
  let pool: Pool | undefined;
  const open = new Map<Socket, ServerAddress>();
  const target = () =>
    pool === undefined ? first : { host: pool.options.host!, port: pool.options.port! };

  function follow(server: ServerAddress): void {
    if (isSame(server, target())) return;
    log.warn({ host: server.host, port: server.port }, 'another database server takes writes now');
    Object.assign(pool!.options, { host: server.host, port: server.port });
    for (const [socket, to] of open) if (!isSame(to, server)) socket.destroy();
  }

  function newSocket(): Socket {
    const socket = new Socket();
    open.set(socket, target());
    socket.once('close', () => {
      open.delete(socket);
      void watch.look();
    });
    return socket;
  }

  async function refuseReadOnly(client: ClientBase): Promise<void> {
    if (await takesWrites(client)) return;
    void watch.look();
    throw new GigvaultError('UNAVAILABLE', 'The database takes no writes now.');
  }

  return {
    config: { ...first, stream: newSocket as never, onConnect: refuseReadOnly as never },
    attach(made) {
      pool = made;
      const leave = watch.join(follow);
      const end: () => Promise<void> = made.end.bind(made);
      made.end = async () => {
        await leave();
        await end();
      };
    },
  };
}

/** Looks at the servers for all pools of a process that are on them, as the service that joined first: all services' roles are made together. */
interface Watch {
  /** Looks now; whoever asks during a look is told by the next one. */
  look(): Promise<void>;
  /** Tells which server takes writes after each look, from now on until what it returns is called. */
  join(follow: (server: ServerAddress) => void): () => Promise<void>;
}

/** Of this process, by database and servers. */
const watches = new Map<string, Watch>();

function watchOf(servers: readonly ServerAddress[], login: PoolConfig, log: Log): Watch {
  const key = JSON.stringify([login.database, servers]);
  const known = watches.get(key);
  if (known) return known;
  const made = watchServers(servers, login, log, () => {
    if (watches.get(key) === made) watches.delete(key);
  });
  watches.set(key, made);
  return made;
}

function watchServers(
  servers: readonly ServerAddress[],
  login: PoolConfig,
  log: Log,
  ended: () => void,
): Watch {
  const followers = new Set<(server: ServerAddress) => void>();
  let current = { host: login.host as string, port: login.port as number, timeline: 0 };
  const failures = failureLog(
    log,
    'no database server takes writes',
    'a database server takes writes again',
  );
  const look = oneAfterAnother(async () => {
    if (followers.size === 0) return;
    try {
      current = await findWritableServer(startingWith(current, servers), login, {
        atLeast: current.timeline,
        patience: PATIENCE,
      });
      failures.worked();
      for (const follow of followers) follow(current);
    } catch (error) {
      failures.failed('warn', error);
    }
    await systemClock.sleep(PAUSE);
  });
  const lookAgain = () =>
    periodic({ ...LOOKING, round: look, onError: (error) => failures.failed('warn', error) });
  let worker: Worker | undefined;
  return {
    look,
    join(follow) {
      followers.add(follow);
      // The server may have changed since the pool was opened.
      if (worker) void look();
      else {
        worker = lookAgain();
        void worker.start();
      }
      return async () => {
        followers.delete(follow);
        if (followers.size > 0) return;
        ended();
        const stopped = worker;
        worker = undefined;
        await stopped?.stop();
      };
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

async function takesWrites(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ transaction_read_only: string }>(
    'SHOW transaction_read_only',
  );
  return rows[0]?.transaction_read_only === 'off';
}

function isSame(one: ServerAddress, other: ServerAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

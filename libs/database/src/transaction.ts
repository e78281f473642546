import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { databaseError } from './database-error.ts';

/**
 * Runs `run` between BEGIN and COMMIT on one connection; rolls back when it throws. Errors as `databaseError` maps them. When the
 * connection is lost while COMMIT is under way nobody knows the outcome: UNAVAILABLE with the detail `outcome: 'unknown'`, and the caller
 * must read back.
 */
export async function transaction<T>(
  pool: Pool,
  run: (client: PoolClient) => Promise<T>,
): Promise<T> {
  return onConnection(pool, async (client, discard) => {
    try {
      return await runAndCommit(client, run);
    } catch (error) {
      const known = databaseError(error);
      // On a connection that is lost or silent nothing can be rolled back: the server does that when it goes.
      if (!isLost(known) && !(await rolledBack(client))) discard();
      throw known;
    }
  });
}

/**
 * Runs one statement that is a transaction by itself. Errors as `transaction`: when the connection is lost nobody knows the outcome.
 */
export async function executeOnce<R extends QueryResultRow>(
  pool: Pool,
  statement: QueryConfig,
): Promise<QueryResult<R>> {
  return onConnection(pool, (client) =>
    client.query<R>(statement).catch((error) => Promise.reject(commitError(error))),
  );
}

/** Takes a connection for `run`, and gives it back to the pool unless it is lost or `discard` was called. */
async function onConnection<T>(
  pool: Pool,
  run: (client: PoolClient, discard: () => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error) => Promise.reject(databaseError(error)));
  let broken = false;
  const discard = () => {
    broken = true;
  };
  // A connection that dies between two queries emits this; unheard it would end the process.
  client.on('error', discard);
  try {
    return await run(client, discard);
  } catch (error) {
    if (isLost(error)) discard();
    throw error;
  } finally {
    client.off('error', discard);
    client.release(broken);
  }
}

function rolledBack(client: PoolClient): Promise<boolean> {
  return client.query('ROLLBACK').then(
    () => true,
    () => false,
  );
}

function isLost(error: unknown): boolean {
  return error instanceof GigvaultError && error.code === 'UNAVAILABLE';
}

async function runAndCommit<T>(
  client: PoolClient,
  run: (client: PoolClient) => Promise<T>,
): Promise<T> {
  await client.query('BEGIN');
  const result = await run(client);
  // COMMIT of a transaction in which a statement failed succeeds, as a ROLLBACK.
  const { command } = await client
    .query('COMMIT')
    .catch((error) => Promise.reject(commitError(error)));
  if (command !== 'COMMIT')
    throw new Error('a statement of the transaction failed and its error was not passed on');
  return result;
}

function commitError(error: unknown): unknown {
  const mapped = databaseError(error);
  if (!(mapped instanceof GigvaultError) || mapped.code !== 'UNAVAILABLE') return mapped;
  return new GigvaultError('UNAVAILABLE', mapped.message, {
    cause: error,
    details: { outcome: 'unknown' },
  });
}

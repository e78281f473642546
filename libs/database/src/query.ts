import type { ClientBase, Pool, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { databaseError } from './database-error.ts';

/** Runs one statement by itself, or in the transaction of `client`. Errors as `databaseError` maps them. */
export async function query<R extends QueryResultRow>(
  client: Pool | ClientBase,
  statement: string | QueryConfig,
): Promise<QueryResult<R>> {
  try {
    return await client.query<R>(statement);
  } catch (error) {
    throw databaseError(error);
  }
}

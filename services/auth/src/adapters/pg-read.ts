import { databaseError } from '@gigvault/database/database-error';
import type { Pool, QueryConfig, QueryResultRow } from 'pg';

/** Reads rows outside of a transaction. Throws UNAVAILABLE when the database cannot be reached. */
export async function readRows<R extends QueryResultRow>(
  pool: Pool,
  query: QueryConfig,
): Promise<R[]> {
  try {
    const found = await pool.query<R>(query);
    return found.rows;
  } catch (error) {
    throw databaseError(error);
  }
}

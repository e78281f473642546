import { databaseError } from '@gigvault/database/database-error';
import type { Pool, QueryResultRow } from 'pg';

/** Runs one prepared statement by itself. Errors as databaseError maps them. */
export async function query<R extends QueryResultRow>(
  pool: Pool,
  name: string,
  text: string,
  values: unknown[],
): Promise<{ rows: R[]; rowCount: number | null }> {
  try {
    return await pool.query<R>({ name, text, values });
  } catch (error) {
    throw databaseError(error);
  }
}

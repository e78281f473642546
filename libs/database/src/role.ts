/** Names of the database roles; roles belong to the whole server, so they start with the database's name. */

/** Octets of a database's name: with the longest service's name behind it, it must be a name of PostgreSQL's, of 63. */
export const LONGEST_DATABASE_NAME = 56;

/** The role that owns schemas and tables and runs migrations. */
export function ownerRole(database: string): string {
  return `${database}_owner`;
}

/** The role that a service runs as: no DDL, its own schema only. */
export function serviceRole(database: string, service: string): string {
  return `${database}_${service}`;
}

/**
 * Services whose role may only SELECT and INSERT, with the tables in which it may also UPDATE and DELETE.
 * `audit` cannot change what it has recorded; its cursors move, and its own event log is trimmed.
 */
export type AppendOnly = Readonly<Record<string, readonly string[]>>;

/** The default. */
export const APPEND_ONLY: AppendOnly = {
  audit: ['event_cursor', 'outbox', 'outbox_head', 'outbox_consumer'],
};

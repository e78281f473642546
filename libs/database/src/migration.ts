import type { ClientConfig } from 'pg';
import type { MigrationInterface } from 'typeorm';
import type { AppendOnly } from './role.ts';

/** A migration's class; its instance's `name` ends in 13 digits that order it. */
export type Migration = new () => MigrationInterface;

/** One service's migrations. */
export interface ServiceMigrations {
  readonly service: string;
  readonly migrations: readonly Migration[];
}

/** Where, and by whom. */
export interface MigrateOptions {
  /** As `ownerConnection` makes it. */
  readonly owner: ClientConfig;
  readonly database: string;
  readonly appendOnly?: AppendOnly;
}

/** In each service's schema: the migrations that ran. */
export const MIGRATION_TABLE = 'migration';

/** The name that its row carries. */
export function migrationName(migration: Migration): string {
  return new migration().name ?? migration.name;
}

/** The 13 digits at the end of its name. */
export function migrationTime(migration: Migration): number {
  return Number(migrationName(migration).slice(-13));
}

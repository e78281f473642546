import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys, recorded signatures and the event log. */
export class KeymgrInit1763700000000 implements MigrationInterface {
  readonly name = 'KeymgrInit1763700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE key (
        key_id      text PRIMARY KEY CHECK (key_id ~ '^[A-Za-z0-9-]{1,255}$'),
        key_type    text NOT NULL,
        state       text NOT NULL CHECK (state IN ('pre-active', 'active', 'deactivated', 'destroyed')),
        spki        bytea NOT NULL,
        backend     text NOT NULL,
        handle      text NOT NULL,
        purposes    text[] NOT NULL,
        callers     text[] NOT NULL,
        issuer_name bytea,
        owner       text NOT NULL,
        tenant_id   text NOT NULL,
        created_at  timestamptz NOT NULL,
        UNIQUE (backend, handle)
      )`);
    // The primary key is the judge of every race: an intent is signed once, or closed, and never both.
    await queryRunner.query(`
      CREATE TABLE signature (
        intent_id  uuid PRIMARY KEY,
        key_id     text REFERENCES key,
        tbs_sha256 bytea,
        signature  bytea,
        tombstoned boolean NOT NULL,
        created_at timestamptz NOT NULL,
        CHECK (CASE WHEN tombstoned THEN num_nonnulls(key_id, tbs_sha256, signature) = 0
               ELSE num_nonnulls(key_id, tbs_sha256, signature) = 3 END)
      )`);
    await createEventLogTables(queryRunner, ['audit']);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

import { createEventCursorTable } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Leaves, the complete subtrees above them, signed tree heads, and the cursors. */
export class AuditInit1764000000000 implements MigrationInterface {
  readonly name = 'AuditInit1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE leaf (
        leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
        producer text NOT NULL,
        position bigint NOT NULL,
        leaf bytea NOT NULL,
        leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
        CONSTRAINT leaf_event UNIQUE (producer, position)
      )`);
    await queryRunner.query(`
      CREATE TABLE node (
        level smallint NOT NULL CHECK (level > 0),
        index bigint NOT NULL,
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        PRIMARY KEY (level, index)
      )`);
    await queryRunner.query(`
      CREATE TABLE checkpoint (
        tree_size bigint PRIMARY KEY,
        root_hash bytea NOT NULL,
        timestamp bigint NOT NULL,
        note text NOT NULL,
        public_key bytea NOT NULL
      )`);
    await createEventCursorTable(queryRunner);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

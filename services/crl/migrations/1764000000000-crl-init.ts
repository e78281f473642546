import { createEventCursorTable } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Issuers, their shards, the revoked certificates of each, and the CRLs made from them. */
export class CrlInit1764000000000 implements MigrationInterface {
  name = 'CrlInit1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventCursorTable(queryRunner);
    await queryRunner.query(`
      CREATE TABLE issuer (
        issuer_id text PRIMARY KEY,
        certificate bytea NOT NULL,
        key_id text NOT NULL,
        crl_base_url text NOT NULL
      )`);
    // One row that every generation and every revocation of the shard locks: it orders them.
    await queryRunner.query(`
      CREATE TABLE shard (
        issuer_id text NOT NULL,
        crl_shard integer NOT NULL,
        crl_number bigint NOT NULL DEFAULT 0,
        changed_at bigint,
        published_number bigint,
        this_update bigint,
        next_update bigint,
        scheduled_number bigint,
        scheduled_update bigint,
        PRIMARY KEY (issuer_id, crl_shard)
      ) WITH (fillfactor = 50)`);
    await queryRunner.query(`
      CREATE TABLE revoked (
        issuer_id text NOT NULL,
        serial_number text NOT NULL,
        crl_shard integer NOT NULL,
        first_number bigint NOT NULL,
        revoked_at bigint NOT NULL,
        reason_code smallint NOT NULL,
        not_after bigint NOT NULL,
        entry bytea NOT NULL,
        PRIMARY KEY (issuer_id, serial_number)
      )`);
    await queryRunner.query(
      'CREATE INDEX revoked_by_shard ON revoked (issuer_id, crl_shard, serial_number)',
    );
    await queryRunner.query(
      'CREATE INDEX revoked_by_end ON revoked (issuer_id, crl_shard, not_after)',
    );
    await queryRunner.query(`
      CREATE TABLE crl (
        issuer_id text NOT NULL,
        crl_shard integer NOT NULL,
        crl_number bigint NOT NULL,
        intent_id uuid NOT NULL UNIQUE,
        status text NOT NULL CHECK (status IN ('intended', 'published', 'abandoned')),
        scheduled boolean NOT NULL,
        this_update bigint NOT NULL,
        next_update bigint NOT NULL,
        entry_count integer NOT NULL,
        tbs bytea,
        der bytea,
        PRIMARY KEY (issuer_id, crl_shard, crl_number),
        CHECK ((status = 'published') = (der IS NOT NULL))
      )`);
    await queryRunner.query(
      `CREATE UNIQUE INDEX crl_one_open_intent ON crl (issuer_id, crl_shard) WHERE status = 'intended'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('forward only');
  }
}

import { createEventCursorTable } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The states of all certificates, the responders' certificates, and how fresh the knowledge is. */
export class OcspInit1764000000000 implements MigrationInterface {
  name = 'OcspInit1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventCursorTable(queryRunner);
    await queryRunner.query(`
      CREATE TABLE status (
        issuer_id text NOT NULL,
        serial_number text NOT NULL,
        status text NOT NULL CHECK (status IN ('good', 'revoked')),
        revoked_at bigint NOT NULL,
        reason_code smallint NOT NULL,
        not_after bigint NOT NULL,
        PRIMARY KEY (issuer_id, serial_number)
      )`);
    await queryRunner.query(`
      CREATE TABLE responder (
        issuer_id text PRIMARY KEY,
        issuer_certificate bytea NOT NULL,
        certificate bytea NOT NULL,
        key_id text NOT NULL,
        not_before bigint NOT NULL,
        not_after bigint NOT NULL
      )`);
    await queryRunner.query(`
      CREATE TABLE freshness (
        producer text PRIMARY KEY,
        as_of bigint NOT NULL
      )`);
  }

  async down(): Promise<void> {
    throw new Error('forward only');
  }
}

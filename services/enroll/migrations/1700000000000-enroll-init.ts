import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Accounts, orders, the event log. */
export class EnrollInit1700000000000 implements MigrationInterface {
  readonly name = 'EnrollInit1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE account (
        account_id text PRIMARY KEY,
        tenant_id text NOT NULL DEFAULT 'default',
        jwk jsonb NOT NULL,
        jwk_thumbprint text NOT NULL UNIQUE,
        contact text[] NOT NULL,
        status text NOT NULL CHECK (status IN ('valid', 'deactivated', 'revoked')),
        terms_of_service_agreed boolean NOT NULL,
        created_at bigint NOT NULL
      )`);
    await queryRunner.query(`
      CREATE TABLE order_ (
        order_id text PRIMARY KEY,
        tenant_id text NOT NULL DEFAULT 'default',
        account_id text NOT NULL REFERENCES account,
        status text NOT NULL CHECK (status IN ('pending', 'ready', 'processing', 'valid', 'invalid')),
        identifiers jsonb NOT NULL,
        authorization_ids text[] NOT NULL,
        profile text NOT NULL,
        profile_hash text NOT NULL,
        request_id uuid NOT NULL UNIQUE,
        not_before bigint NOT NULL,
        not_after bigint NOT NULL,
        created_at bigint NOT NULL,
        expires_at bigint NOT NULL,
        certification_request bytea,
        resume_at bigint,
        serial_number text,
        issuer_id text,
        certificate bytea,
        chain bytea[],
        error jsonb,
        CHECK ((status = 'processing') = (resume_at IS NOT NULL)),
        CHECK ((status = 'valid') = (certificate IS NOT NULL)),
        CHECK ((status = 'invalid') = (error IS NOT NULL)),
        CHECK (status NOT IN ('processing', 'valid') OR certification_request IS NOT NULL)
      )`);
    await queryRunner.query(
      'CREATE INDEX order_account ON order_ (account_id, created_at DESC, order_id DESC)',
    );
    await queryRunner.query(
      `CREATE INDEX order_open ON order_ (account_id) WHERE status IN ('pending', 'ready')`,
    );
    await queryRunner.query(
      `CREATE INDEX order_resume ON order_ (resume_at) WHERE status = 'processing'`,
    );
    await queryRunner.query(
      `CREATE INDEX order_expiring ON order_ (expires_at) WHERE status IN ('pending', 'ready')`,
    );
    await queryRunner.query(
      `CREATE INDEX order_finished ON order_ (expires_at) WHERE status IN ('valid', 'invalid')`,
    );
    await createEventLogTables(queryRunner, ['audit', 'notify']);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Users, API keys, setup tokens and the event log. */
export class AuthInit1700000000000 implements MigrationInterface {
  readonly name = 'AuthInit1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE user_ (
        user_id uuid PRIMARY KEY,
        name text NOT NULL UNIQUE CHECK (name = lower(name)),
        display_name text NOT NULL,
        roles text[] NOT NULL,
        status text NOT NULL CHECK (status IN ('invited', 'active', 'disabled')),
        tenant_id text NOT NULL,
        created_at timestamptz NOT NULL
      )`);
    await queryRunner.query(
      `CREATE INDEX user_active_admin ON user_ (user_id) WHERE status = 'active' AND roles @> '{admin}'`,
    );
    await queryRunner.query(`
      CREATE TABLE api_key (
        key_id text PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES user_,
        secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
        label text NOT NULL,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz,
        revoked_at timestamptz,
        expires_at timestamptz
      )`);
    await queryRunner.query('CREATE INDEX api_key_user ON api_key (user_id, created_at DESC)');
    await queryRunner.query(`
      CREATE TABLE setup_token (
        token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
        user_id uuid REFERENCES user_,
        roles text[] NOT NULL,
        expires_at timestamptz NOT NULL,
        redeemed_at timestamptz
      )`);
    await queryRunner.query(
      'CREATE INDEX setup_token_user ON setup_token (user_id) WHERE redeemed_at IS NULL',
    );
    await queryRunner.query(
      'CREATE INDEX setup_token_expiry ON setup_token (expires_at) WHERE redeemed_at IS NULL',
    );
    await createEventLogTables(queryRunner, ['audit', 'notify']);
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}

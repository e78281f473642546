import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { EVENT_CONSUMERS } from '../src/event-consumers.ts';

/** Tables of the CA. Times are Unix milliseconds. `serial` stays narrow and unpartitioned: it is the uniqueness guard. */
export class CaInit1700000000000 implements MigrationInterface {
  name = 'CaInit1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of TABLES) await queryRunner.query(statement);
    await createEventLogTables(queryRunner, EVENT_CONSUMERS);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const TABLES = [
  `CREATE TABLE issuer (
    issuer_id text PRIMARY KEY,
    certificate bytea NOT NULL,
    chain bytea[] NOT NULL,
    key_id text NOT NULL,
    crl_shards integer NOT NULL CHECK (crl_shards >= 1),
    ocsp_url text NOT NULL,
    crl_base_url text NOT NULL,
    issuer_url text NOT NULL,
    public boolean NOT NULL,
    created_at bigint NOT NULL
  )`,
  `CREATE TABLE serial (
    issuer_id text NOT NULL,
    serial_number text NOT NULL,
    CONSTRAINT serial_unique PRIMARY KEY (issuer_id, serial_number)
  )`,
  `CREATE TABLE blocked_key (
    spki_sha256 text PRIMARY KEY,
    reason text NOT NULL CHECK (reason IN ('caKey', 'keyCompromise')),
    created_at bigint NOT NULL
  )`,
  `CREATE TABLE intent (
    intent_id uuid PRIMARY KEY,
    request_id uuid NOT NULL,
    issuer_id text NOT NULL,
    serial_number text NOT NULL,
    profile text NOT NULL,
    profile_hash text NOT NULL,
    tbs bytea NOT NULL,
    common_name text NOT NULL,
    names text[] NOT NULL,
    requester text NOT NULL,
    tenant_id text NOT NULL,
    protocol text NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    spki_sha256 text NOT NULL,
    crl_shard integer NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'issued', 'tombstoned')),
    created_at bigint NOT NULL,
    closed_at bigint
  )`,
  `CREATE UNIQUE INDEX intent_request ON intent (request_id) WHERE status IN ('open', 'issued')`,
  `CREATE INDEX intent_open ON intent (created_at) WHERE status = 'open'`,
  `CREATE TABLE certificate (
    serial_number text NOT NULL,
    issuer_id text NOT NULL,
    certificate bytea,
    request_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    common_name text NOT NULL,
    names text[] NOT NULL,
    profile text NOT NULL,
    requester text NOT NULL,
    tenant_id text NOT NULL,
    protocol text NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    spki_sha256 text NOT NULL,
    crl_shard integer NOT NULL,
    status text NOT NULL CHECK (status IN ('valid', 'revoked')),
    issued_at bigint NOT NULL,
    revoked_at bigint,
    reason_code smallint,
    PRIMARY KEY (serial_number, issuer_id),
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL AND reason_code IS NOT NULL)),
    CHECK (certificate IS NOT NULL OR status = 'revoked')
  )`,
  'CREATE INDEX certificate_newest ON certificate (issued_at, serial_number, issuer_id)',
  'CREATE INDEX certificate_common_name ON certificate (common_name, issued_at, serial_number, issuer_id)',
  'CREATE INDEX certificate_requester ON certificate (requester, issued_at, serial_number, issuer_id)',
  `CREATE INDEX certificate_revoked ON certificate (issued_at, serial_number, issuer_id) WHERE status = 'revoked'`,
];

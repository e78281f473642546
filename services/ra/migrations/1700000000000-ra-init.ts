import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who may pull the RA's event log. */
export const EVENT_CONSUMERS = ['audit', 'notify'] as const;

/** Authorizations, challenges and their evidence; enrolment requests and votes; the event log. */
export class RaInit1700000000000 implements MigrationInterface {
  readonly name = 'RaInit1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createAuthorizationTables(queryRunner);
    await createEnrolmentTables(queryRunner);
    await createEventLogTables(queryRunner, EVENT_CONSUMERS);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

async function createAuthorizationTables(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(`CREATE TABLE authorization_ (
    authorization_id uuid PRIMARY KEY,
    tenant_id text NOT NULL DEFAULT 'default',
    requester text NOT NULL,
    identifier_type text NOT NULL CHECK (identifier_type IN ('dns', 'ip')),
    identifier_value text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'valid', 'invalid', 'deactivated', 'revoked')),
    expires_at bigint NOT NULL,
    created_at bigint NOT NULL
  )`);
  await queryRunner.query(`CREATE INDEX authorization_reuse
    ON authorization_ (requester, identifier_type, identifier_value, expires_at) WHERE status = 'valid'`);
  await queryRunner.query(
    `CREATE INDEX authorization_unused ON authorization_ (expires_at) WHERE status = 'pending'`,
  );
  await queryRunner.query(`CREATE TABLE challenge (
    challenge_id uuid PRIMARY KEY,
    authorization_id uuid NOT NULL REFERENCES authorization_ ON DELETE CASCADE,
    type text NOT NULL CHECK (type IN ('http-01')),
    token text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'processing', 'valid', 'invalid')),
    key_authorization text,
    attempts integer NOT NULL DEFAULT 0,
    due_at bigint,
    validated_at bigint NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT ''
  )`);
  await queryRunner.query('CREATE INDEX challenge_authorization ON challenge (authorization_id)');
  await queryRunner.query(
    `CREATE INDEX challenge_due ON challenge (due_at) WHERE status = 'processing'`,
  );
  await queryRunner.query(`CREATE TABLE validation_evidence (
    evidence_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    authorization_id uuid NOT NULL REFERENCES authorization_,
    challenge_id uuid NOT NULL,
    identifier_type text NOT NULL,
    identifier_value text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('valid', 'invalid')),
    evidence jsonb NOT NULL,
    at bigint NOT NULL
  )`);
  await queryRunner.query(
    'CREATE INDEX validation_evidence_authorization ON validation_evidence (authorization_id)',
  );
}

async function createEnrolmentTables(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(`CREATE TABLE enrolment_request (
    request_id uuid PRIMARY KEY,
    tenant_id text NOT NULL,
    protocol text NOT NULL,
    requester text NOT NULL,
    profile text NOT NULL,
    profile_hash text NOT NULL,
    issuer_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'issued', 'rejected', 'denied', 'failed')),
    common_name text NOT NULL,
    subject_alt_name jsonb NOT NULL,
    certification_request bytea NOT NULL,
    authorization_ids uuid[] NOT NULL,
    not_before bigint NOT NULL,
    not_after bigint NOT NULL,
    reason text NOT NULL,
    decision jsonb NOT NULL,
    approvals_needed integer NOT NULL,
    approvals integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    due_at bigint NOT NULL,
    serial_number text NOT NULL DEFAULT '',
    certificate bytea,
    chain bytea[],
    error_code text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    created_at bigint NOT NULL
  )`);
  await queryRunner.query(
    `CREATE INDEX enrolment_request_due ON enrolment_request (due_at) WHERE status = 'approved'`,
  );
  await queryRunner.query(
    'CREATE INDEX enrolment_request_newest ON enrolment_request (created_at, request_id)',
  );
  await queryRunner.query(
    'CREATE INDEX enrolment_request_status ON enrolment_request (status, created_at, request_id)',
  );
  await queryRunner.query(
    'CREATE INDEX enrolment_request_requester ON enrolment_request (requester, created_at, request_id)',
  );
  await queryRunner.query(`CREATE TABLE vote (
    request_id uuid NOT NULL REFERENCES enrolment_request,
    actor text NOT NULL,
    approve boolean NOT NULL,
    comment text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (request_id, actor)
  )`);
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Versions of keys, all states of NIST SP 800-57, and destruction with a time to undo. */
export class KeymgrKeyLife1796000000000 implements MigrationInterface {
  readonly name = 'KeymgrKeyLife1796000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

const STATEMENTS = [
  `ALTER TABLE key
     ADD COLUMN version            integer NOT NULL DEFAULT 1 CHECK (version > 0),
     ADD COLUMN version_created_at timestamptz NOT NULL DEFAULT now(),
     ADD COLUMN destroy_at         timestamptz(3),
     ADD COLUMN restore_state      text CHECK (restore_state IN ('pre-active', 'active', 'suspended', 'deactivated', 'compromised')),
     DROP CONSTRAINT key_state_check,
     ADD CONSTRAINT key_state_check
       CHECK (state IN ('pre-active', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed')),
     ADD CONSTRAINT key_destruction_check
       CHECK (destroy_at IS NOT NULL AND state NOT IN ('active', 'suspended', 'destroyed') OR destroy_at IS NULL AND restore_state IS NULL),
     ADD CONSTRAINT key_of_service_check
       CHECK (destroy_at IS NULL AND state <> 'destroyed' OR purposes = '{}' AND callers = '{}' AND issuer_name IS NULL AND key_id !~* '^(ca|ocsp|audit|auth)-')`,
  `UPDATE key SET version_created_at = created_at`,
  `CREATE TABLE key_version (
     key_id     text NOT NULL REFERENCES key,
     version    integer NOT NULL CHECK (version > 0),
     spki       bytea NOT NULL,
     backend    text NOT NULL,
     handle     text NOT NULL,
     created_at timestamptz NOT NULL,
     PRIMARY KEY (key_id, version),
     UNIQUE (backend, handle)
   )`,
  `CREATE INDEX key_due ON key (destroy_at, key_id) WHERE destroy_at IS NOT NULL`,
  `CREATE INDEX key_by_state ON key (tenant_id, state, key_id)`,
];

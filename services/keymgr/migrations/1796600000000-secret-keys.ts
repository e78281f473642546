import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys without a public half, keys that encrypt, and how often each of their versions did. */
export class KeymgrSecretKeys1796600000000 implements MigrationInterface {
  readonly name = 'KeymgrSecretKeys1796600000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

const STATEMENTS = [
  `ALTER TABLE key
     ADD COLUMN usage text NOT NULL DEFAULT 'sign' CHECK (usage IN ('sign', 'encrypt')),
     ALTER COLUMN spki DROP NOT NULL,
     ADD CONSTRAINT key_public_half_check CHECK ((spki IS NULL) = (key_type ~ '^(aes|hmac)-'))`,
  `ALTER TABLE key_version ALTER COLUMN spki DROP NOT NULL`,
  `CREATE TABLE encryption_count (
     key_id  text NOT NULL REFERENCES key,
     version integer NOT NULL CHECK (version > 0),
     count   bigint NOT NULL CHECK (count > 0),
     upto    bigint NOT NULL,
     PRIMARY KEY (key_id, version),
     CONSTRAINT encryption_limit_check CHECK (count <= upto)
   )`,
  `CREATE INDEX key_by_backend ON key (tenant_id, backend, key_id)`,
];

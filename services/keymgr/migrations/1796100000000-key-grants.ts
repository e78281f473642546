import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who else may do what with a person's key. */
export class KeymgrKeyGrants1796100000000 implements MigrationInterface {
  readonly name = 'KeymgrKeyGrants1796100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE key
         ADD COLUMN grants         jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(grants) = 'array'),
         ADD COLUMN grants_version integer NOT NULL DEFAULT 0 CHECK (grants_version >= 0),
         ADD CONSTRAINT key_of_service_grants_check
           CHECK (grants = '[]' OR purposes = '{}' AND callers = '{}' AND issuer_name IS NULL AND key_id !~* '^(ca|ocsp|audit|auth)-')`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

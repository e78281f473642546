import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys with which a backend is being tested, so that one whose process died is removed. */
export class KeymgrBackendTests1796800000000 implements MigrationInterface {
  readonly name = 'KeymgrBackendTests1796800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE backend_test (
      name     text PRIMARY KEY,
      backend  text NOT NULL,
      key_type text NOT NULL,
      begun_at timestamptz NOT NULL
    )`);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

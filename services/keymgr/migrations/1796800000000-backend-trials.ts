import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys with which a backend is being tried, so that one whose process died is removed. */
export class KeymgrBackendTrials1796800000000 implements MigrationInterface {
  readonly name = 'KeymgrBackendTrials1796800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE backend_trial (
      backend  text NOT NULL,
      handle   text NOT NULL,
      begun_at timestamptz NOT NULL,
      PRIMARY KEY (backend, handle)
    )`);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

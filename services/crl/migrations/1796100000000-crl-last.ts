import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A retired CA gets a last CRL, which is good until the CA's own end. */
export class CrlLast1796100000000 implements MigrationInterface {
  name = 'CrlLast1796100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE issuer ADD COLUMN ends_at bigint');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

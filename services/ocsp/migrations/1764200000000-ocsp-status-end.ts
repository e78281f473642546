import type { MigrationInterface, QueryRunner } from 'typeorm';

/** States by the end of their certificates: those that ended long ago are deleted without a scan of the table. */
export class OcspStatusEnd1764200000000 implements MigrationInterface {
  name = 'OcspStatusEnd1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE INDEX status_end ON status (not_after)');
  }

  async down(): Promise<void> {
    throw new Error('forward only');
  }
}

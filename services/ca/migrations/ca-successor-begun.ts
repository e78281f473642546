import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether the rotation to an issuer's successor was begun, so that its event is told once however often it is asked for. */
export class CaSuccessorBegun1796700000000 implements MigrationInterface {
  name = 'CaSuccessorBegun1796700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE issuer ADD COLUMN successor_begun boolean NOT NULL DEFAULT false',
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

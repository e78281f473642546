import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Drops the notifications: a row for every certificate, for ever, that nobody read. The producers' events are what is kept. */
export class NotifyNoRows1764000000001 implements MigrationInterface {
  readonly name = 'NotifyNoRows1764000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE notification');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

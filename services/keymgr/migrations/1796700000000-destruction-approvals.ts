import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who wants a key destroyed: who asked, then those who approved. */
export class KeymgrDestructionApprovals1796700000000 implements MigrationInterface {
  readonly name = 'KeymgrDestructionApprovals1796700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`ALTER TABLE key ADD COLUMN destroy_by text[] NOT NULL DEFAULT '{}'`);
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}

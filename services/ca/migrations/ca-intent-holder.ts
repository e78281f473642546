import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who works on an open intent: the id of a process whose life can be asked for; none for intents of the version before. */
export class CaIntentHolder1795400000000 implements MigrationInterface {
  name = 'CaIntentHolder1795400000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE intent ADD COLUMN holder integer');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

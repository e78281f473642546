import { createDeadLetterTable } from '@gigvault/database/dead-letters';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where events go of which nobody can be told. */
export class NotifyDeadLetters1764000000002 implements MigrationInterface {
  readonly name = 'NotifyDeadLetters1764000000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createDeadLetterTable(queryRunner);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

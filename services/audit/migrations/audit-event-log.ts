import { createEventLogTables } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What audit itself tells. */
export class AuditEventLog1797000000000 implements MigrationInterface {
  readonly name = 'AuditEventLog1797000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['audit']);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

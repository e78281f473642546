import { createEventCursorTable } from '@gigvault/database/event-log';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What people are told of, and the cursors. */
export class NotifyInit1764000000000 implements MigrationInterface {
  readonly name = 'NotifyInit1764000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE notification (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        producer text NOT NULL,
        position bigint NOT NULL,
        tenant_id text NOT NULL,
        template text NOT NULL,
        fields jsonb NOT NULL,
        status text NOT NULL CHECK (status IN ('logged')),
        created_at bigint NOT NULL,
        CONSTRAINT notification_event UNIQUE (producer, position)
      )`);
    await createEventCursorTable(queryRunner);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
